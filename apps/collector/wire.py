"""What HTTP brings: an answer, its next page, a redirect that may be followed, a line that broke."""

from __future__ import annotations

import datetime as dt
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests


@dataclass(frozen=True, slots=True)
class Answer:
    """One decoded answer. `following`: the query of the next page, None at the end, {} where the server is
    silent. `total`: how many rows the whole list has, None where the server does not count them."""

    value: Any
    server_time: dt.datetime
    following: dict[str, str] | None
    total: int | None = None


class SameHost(requests.Session):
    """Follows redirects of a moved project, never to another host or to plain text."""

    def stand_alone(self, url: str) -> None:
        """Take the proxy and the certificates that the environment names for this address, once: to look
        there at every request takes longer than to decode a page."""
        found = self.merge_environment_settings(url, {}, None, None, None)
        self.proxies, self.verify, self.cert = found["proxies"], found["verify"], found["cert"]
        self.trust_env = False  # nor is a .netrc asked for credentials

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None or not urlsplit(target).netloc:
            return target
        here, there = urlsplit(resp.url), urlsplit(target)
        same = here.hostname == there.hostname and (here.port == there.port or here.scheme != there.scheme)
        return target if same and (here.scheme == there.scheme or there.scheme == "https") else None


def following(headers: Mapping[str, str]) -> dict[str, str] | None:
    """The next page's query; None at the end, {} where the server is silent and a full page promises
    more.

    Only the parameters are taken from `Link`, so it cannot lead to another host. Some lists have a `Link`
    without a next page and tell it in `X-Next-Page` alone.
    """
    for link in requests.utils.parse_header_links(headers.get("Link", "")):
        if link.get("rel") == "next":
            return dict(parse_qsl(urlsplit(link["url"]).query))
    if "X-Next-Page" not in headers:
        return {}
    page = headers["X-Next-Page"].strip()
    return {"page": page} if page else None


def total(headers: Mapping[str, str]) -> int | None:
    """How long the list is that a page belongs to; GitLab stops counting at 10,000 rows."""
    told = headers.get("X-Total", "").strip()
    return int(told) if told.isdecimal() else None


def cause_of(error: BaseException) -> str:
    """The innermost reason in plain words: the name is unknown, nobody listens, the line broke."""
    seen: BaseException | None = error
    while seen is not None:
        inner = getattr(seen, "reason", None) or next(
            (a for a in seen.args if isinstance(a, BaseException)), None
        )
        if isinstance(seen, socket.gaierror):
            return "its host name is unknown"
        if isinstance(seen, ConnectionRefusedError):
            return "connection refused, nobody listens there"
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or None
    kind = type(error).__name__
    return f"the connection broke ({kind})"


_NUMBER, _FOLDED = (
    re.compile(r"/[0-9a-f]{40}(?=/|$)|/\d+(?=/|$)"),
    re.compile(r"/[^/]*%2F[^/]*", re.IGNORECASE),
)


def route_of(path: str) -> str:
    """A path of the API without ids, SHAs and paths of groups, as spans are called; "graphql" for none."""
    if not path:
        return "graphql"
    plain = urlsplit(path).path.rpartition("/api/v4")[2]
    return _NUMBER.sub("/:id", _FOLDED.sub("/:path", plain))

"""Lists a page at a time, with GitLab's headers and limits."""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import quote, urlencode

MOST, USUAL = 100, 20
MOST_COUNTED, DEEPEST = 10_000, 50_000

Params = dict[str, list[str]]
Header = tuple[bytes, bytes]


class Cased(bytes):
    """A header name that keeps its case: uvicorn lowers the names that it writes, GitLab's are mixed."""

    def lower(self) -> Cased:
        """Itself."""
        return self


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: dict[str, Any], headers: Sequence[Header] = ()) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


def not_found(what: str) -> Refusal:
    """GitLab's way of saying that something is not there, or not for you."""
    return Refusal(404, {"message": f"404 {what} Not Found"})


def bad(message: str) -> Refusal:
    """A parameter that GitLab does not take."""
    return Refusal(400, {"error": message})


@dataclass(slots=True)
class Listing:
    """Rows in the asked order. `keyset`: by id, in this list's order. `kind`: the Ruby name of the rows."""

    rows: Sequence[Any]
    show: Callable[[Any], Any]
    counted: bool = True
    keyset: bool = False
    kind: str = ""


def number(params: Params, name: str, default: int) -> int:
    """A positive whole number."""
    text = params.get(name, [""])[-1]
    if not text:
        return default
    if not text.isdigit():
        raise bad(f"{name} is invalid")
    return max(1, int(text))


def page(listing: Listing, params: Params, address: str) -> tuple[list[Any], list[Header]]:
    """The rows of the page that is asked for, shown, and the headers."""
    size = min(number(params, "per_page", USUAL), MOST)
    if params.get("pagination", [""])[-1] == "keyset":
        return _keyset(listing, params, address, size)
    asked = number(params, "page", 1)
    if listing.keyset and asked * size > DEEPEST:
        raise Refusal(
            405,
            {
                "error": f"Offset pagination has a maximum allowed offset of {DEEPEST} for requests that"
                f" return objects of type {listing.kind}."
                " Remaining records can be retrieved using keyset pagination."
            },
        )
    first = (asked - 1) * size
    rows = listing.rows[first : first + size]
    more = len(listing.rows) > first + size
    return [listing.show(row) for row in rows], _headers(listing, params, address, size, asked, more)


def _headers(
    listing: Listing, params: Params, address: str, size: int, asked: int, more: bool
) -> list[Header]:
    total = len(listing.rows)
    last = max(1, -(-total // size))
    counted = listing.counted and total <= MOST_COUNTED
    links = []
    if asked > 1:
        links.append(_link(address, params, size, asked - 1, "prev"))
    if more:
        links.append(_link(address, params, size, asked + 1, "next"))
    links.append(_link(address, params, size, 1, "first"))
    if counted:
        links.append(_link(address, params, size, last, "last"))
    headers = [
        (b"Link", ", ".join(links).encode()),
        (b"X-Page", b"%d" % asked),
        (b"x-per-page", b"%d" % size),
        (b"X-Next-Page", b"%d" % (asked + 1) if more else b""),
        (b"x-prev-page", b"%d" % (asked - 1) if asked > 1 else b""),
    ]
    if counted:
        headers += [(b"X-Total", b"%d" % total), (b"x-total-pages", b"%d" % last)]
    return headers


def _link(address: str, params: Params, size: int, asked: int, rel: str) -> str:
    return f'<{_address(address, params, page=asked, per_page=size)}>; rel="{rel}"'


def _address(address: str, params: Params, **changes: Any) -> str:
    pairs = [(key, value) for key, values in sorted(params.items()) if key not in changes for value in values]
    return f"{address}?{urlencode([*pairs, *changes.items()], quote_via=quote)}"


def _keyset(listing: Listing, params: Params, address: str, size: int) -> tuple[list[Any], list[Header]]:
    if not listing.keyset:
        raise Refusal(405, {"error": "Keyset pagination is not yet available for this type of request"})
    rows, start = listing.rows, 0
    if cursor := params.get("cursor", [""])[-1]:
        after = _read(cursor)
        down = len(rows) > 1 and rows[0].id > rows[-1].id
        if down:
            start = bisect_right(rows, -after, key=lambda row: -row.id)
        else:
            start = bisect_right(rows, after, key=attrgetter("id"))
    found = rows[start : start + size]
    headers: list[Header] = [(b"X-Per-Page", b"%d" % size)]
    if len(rows) > start + size:
        rest = {key: values for key, values in params.items() if key != "page"}
        following = _address(address, rest, cursor=_write(found[-1].id), per_page=size)
        headers.append((b"link", f'<{following}>; rel="next"'.encode()))
    return [listing.show(row) for row in found], headers


def _write(last: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"id": str(last), "_kd": "n"}).encode()).decode().rstrip("=")


def _read(cursor: str) -> int:
    try:
        return int(json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad("cursor is invalid") from error

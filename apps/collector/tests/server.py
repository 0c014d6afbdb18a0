"""A tiny GitLab on the loopback for faults and moving rows: lists in memory, paged and ordered like the real
one.

It is not the demo: it shares nothing with it, sends what it is told, and counts what it is asked.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

NOW = dt.datetime(2025, 9, 5, 12, tzinfo=dt.UTC)


@dataclass
class Reply:
    """Bytes as they go over the wire. `cut`: announce the whole body, send half of it and hang up."""

    status: int = 200
    body: bytes = b"[]"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    cut: bool = False


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


Handler = Callable[[Asked], Reply]


def answer(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON reply with GitLab's clock."""
    date = NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return Reply(
        status, json.dumps(value).encode(), {"Content-Type": "application/json", "Date": date, **headers}
    )


@dataclass
class FakeGitlab:
    """Paths (without /api/v4) to rows, single answers or handlers; `next` holds replies that come before any
    of these."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    singles: dict[str, Any] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    next: list[Reply] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    before_each: Callable[[Asked], None] = lambda asked: None
    faults: Callable[[Asked], Reply | None] = lambda asked: None
    has_links: bool = True
    url: str = ""

    def reply(self, asked: Asked) -> Reply:
        """What this server answers."""
        self.asked.append(asked)
        if self.next:
            return self.next.pop(0)
        fault = self.faults(asked)
        if fault is not None:
            return fault
        self.before_each(asked)
        path = asked.path.removeprefix("/api/v4")
        if path in self.handlers:
            return self.handlers[path](asked)
        if path in self.singles:
            return answer(self.singles[path])
        if path in self.lists:
            return self._page(path, asked.query)
        return answer({"message": "404 Not Found"}, 404)

    def _page(self, path: str, query: dict[str, str]) -> Reply:
        rows = [row for row in self.lists[path] if _wanted(row, query)]
        by = {"updated_at": "updated_at", "id": "id"}.get(query.get("order_by", ""), "")
        if by:
            rows.sort(key=lambda row: (str(row.get(by)), row.get("id", 0)))
            if query.get("sort", "desc") == "desc":
                rows.reverse()
        size, page = min(int(query.get("per_page", 20)), 100), int(query.get("page", 1))
        some = rows[(page - 1) * size : page * size]
        headers = {}
        if self.has_links:
            more = page * size < len(rows)
            headers["x-next-page"] = str(page + 1) if more else ""
            following = urlencode({**query, "page": page + 1, "per_page": size})
            if more:
                headers["link"] = f'<{self.url}/api/v4{path}?{following}>; rel="next"'
        return answer(some, **headers)

    def count(self, part: str = "") -> int:
        """How many requests there were to paths with this in them."""
        return sum(part in asked.path for asked in self.asked)


def _wanted(row: dict[str, Any], query: dict[str, str]) -> bool:
    after, state = query.get("updated_after"), query.get("state", "all")
    if after and _instant(row["updated_at"]) < _instant(after):
        return False
    return state == "all" or row.get("state") == state


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@contextmanager
def serving(gitlab: FakeGitlab) -> Iterator[FakeGitlab]:
    """The fake behind a port of its own for the length of a block."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body leave together: apart, each answer waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            reply = gitlab.reply(Asked(self.command, parts.path, query, dict(self.headers), body))
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if reply.cut:
                self.wfile.write(reply.body[: len(reply.body) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server.daemon_threads = True
    gitlab.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield gitlab
    finally:
        server.shutdown()
        server.server_close()

"""The web side: tokens, limits, faults, and the way from a request to an answer. A bare ASGI application."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from demo import routes
from demo.asking import Asked
from demo.control import control
from demo.faults import HTML, Faults
from demo.graph import Graph
from demo.limits import Budget
from demo.paging import Cased, Header, Listing, Refusal, page
from demo.render import Render, encode
from demo.times import SECOND
from demo.world import World

Send = Callable[[dict[str, Any]], Awaitable[None]]
JSON = b"application/json"
_NAMED = re.compile(rb"\bquery\s+(\w+)")


class Server:
    """One GitLab. `url`: where it is reached, without a slash at the end."""

    def __init__(
        self,
        world: World,
        *,
        url: str,
        token: str,
        premium: bool,
        older: bool = False,
        latency_ms: int = 0,
        per_minute: int = 0,
        faults: Faults | None = None,
    ) -> None:
        self.world, self.url = world, url
        self.show = Render(world, url=url, premium=premium)
        self.graph = Graph(world, url=url, premium=premium, older=older)
        self.faults = faults or Faults()
        self._token = token.encode()
        self.limit(latency_ms=latency_ms, per_minute=per_minute)
        self.counts: Counter[str] = Counter()
        self._date = (-1, b"")

    def limit(self, *, latency_ms: int, per_minute: int) -> None:
        """Answer so much later, and so many requests a minute from now on; 0 is none."""
        self._latency, self._budget = latency_ms / 1000, Budget(per_minute)

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send
    ) -> None:
        if scope["type"] != "http":
            return
        raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        body = await _body(receive) if scope["method"] == "POST" else b""
        if raw.startswith("/-/demo/"):
            status, answer = control(self, scope["method"], raw, body)
            await self._reply(send, status, answer, JSON, [])
            return
        if self._latency:
            await asyncio.sleep(self._latency)
        self.counts["requests"] += 1
        status, answer, kind, headers = self._guarded(scope, raw, body)
        self.counts[f"status_{status}"] += 1
        await self._send_faulty(send, status, answer, kind, headers)

    def _guarded(
        self, scope: dict[str, Any], raw: str, body: bytes
    ) -> tuple[int, bytes, bytes, list[Header]]:
        """The answer, unless the token, the budget or a fault comes first."""
        if not self._known(scope["headers"]) or self.faults.revoked():
            if raw.startswith("/api/graphql"):
                return 401, b'{"errors":[{"message":"Invalid token"}]}', JSON, []
            return 401, b'{"message":"401 Unauthorized"}', JSON, []
        granted, headers = self._budget.take()
        if not granted:
            return 429, b"Retry later\n", b"text/plain", headers
        if self.faults.happens("status_429"):
            return self.faults.too_many(int(time.time()) + 1)
        if self.faults.happens("html_502"):
            return 502, HTML, b"text/html", []
        if self.faults.happens("html_200"):
            return 200, HTML, b"text/html", []
        status, answer, more = self._answer(scope, raw, body)
        return status, self.faults.spoil(answer), JSON, headers + more

    def _known(self, headers: list[Header]) -> bool:
        for name, value in headers:
            if name == b"private-token" or (name == b"authorization" and value[:7].lower() == b"bearer "):
                return (value if name == b"private-token" else value[7:].strip()) == self._token
        return False

    def _answer(self, scope: dict[str, Any], raw: str, body: bytes) -> tuple[int, bytes, list[Header]]:
        try:
            if raw == "/api/graphql":
                if scope["method"] != "POST":
                    raise Refusal(404, {"error": "404 Not Found"})
                return 200, self._graphql(body), []
            if not raw.startswith("/api/v4/") or scope["method"] not in ("GET", "HEAD"):
                raise Refusal(404, {"error": "404 Not Found"})
            return self._rest(raw, scope["query_string"].decode("latin-1"))
        except Refusal as refusal:
            return refusal.status, encode(refusal.body), list(refusal.headers)

    def _graphql(self, body: bytes) -> bytes:
        """Counted by the name of the query, and once more if it was refused as a whole."""
        name, answer = _operation(body), self.graph.answer(body, faults=self.faults)
        self.counts["graphql"] += 1
        self.counts[f"graphql {name}"] += 1
        self.counts[f"refused_graphql {name}"] += answer.startswith(b'{"errors"')
        return answer

    def _rest(self, raw: str, query: str) -> tuple[int, bytes, list[Header]]:
        template, handler, parts = routes.find(raw[len("/api/v4/") :])
        self.counts[template] += 1
        params = parse_qs(query, keep_blank_values=True) if query else {}
        asked = Asked(self.world, self.show, params, parts)
        address = f"{self.url}{raw}"
        routes.place(asked, address=f"{address}?{query}" if query else address, closed=self.faults.closed)
        found = handler(asked)
        if not isinstance(found, Listing):
            return 200, encode(found), []
        rows, headers = page(found, params, address)
        return 200, encode(rows), headers

    async def _send_faulty(
        self, send: Send, status: int, body: bytes, kind: bytes, headers: list[Header]
    ) -> None:
        if status == 200 and self.faults.happens("truncate"):
            body = body[: len(body) // 2]
        if status == 200 and self.faults.happens("reset"):
            await self._start(send, status, len(body), kind, headers)
            await send({"type": "http.response.body", "body": body[: len(body) // 3], "more_body": True})
            _abort(send)
            return
        if status == 200 and self.faults.happens("drip"):
            await self._start(send, status, len(body), kind, headers)
            for start in range(0, len(body), max(1, len(body) // 10)):
                piece = body[start : start + max(1, len(body) // 10)]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0.05)
            await send({"type": "http.response.body", "body": b""})
            return
        await self._reply(send, status, body, kind, headers)

    async def _reply(self, send: Send, status: int, body: bytes, kind: bytes, headers: list[Header]) -> None:
        await self._start(send, status, len(body), kind, headers)
        await send({"type": "http.response.body", "body": body})

    async def _start(self, send: Send, status: int, length: int, kind: bytes, headers: list[Header]) -> None:
        found = [
            (b"Date", self._now_line()),
            (b"Content-Type", kind),
            (b"content-length", b"%d" % length),
            (b"Cache-Control", b"max-age=0, private, must-revalidate"),
            (b"X-Request-Id", b"%020x" % self.counts["requests"]),
            (b"x-gitlab-meta", b'{"version":"1"}'),
            *headers,
        ]
        cased = [(Cased(name), value) for name, value in found]
        await send({"type": "http.response.start", "status": status, "headers": cased})

    def _now_line(self) -> bytes:
        second = self.world.now // SECOND
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]


def _operation(body: bytes) -> str:
    """The name that the client gave its query."""
    found = _NAMED.search(body)
    return found[1].decode() if found else "without a name"


async def _body(receive: Callable[[], Awaitable[dict[str, Any]]]) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def _abort(send: Send) -> None:
    """Cut the connection in mid-body: uvicorn's send belongs to the cycle that holds the transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("cut off on purpose")
    transport.abort()

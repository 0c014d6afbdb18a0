"""A GitLab of the plainest kind: REST only, a handful of hand-made rows, 404 for all else.

It shares nothing with the demo: no GraphQL, no version, no totals, so that what works against it works by the
contract and not by the habits of one server.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "plain-token"
Rows = list[dict[str, Any]]
World = dict[str, Any]
"""Path below /api/v4 -> a list that is paged, filtered and sorted, or one object."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave apart: each answer would wait 40 ms for the other
    world: World

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if (
            self.headers.get("PRIVATE-TOKEN") != TOKEN
            and self.headers.get("Authorization") != f"Bearer {TOKEN}"
        ):
            return self._answer(401, {"message": "401 Unauthorized"})
        found = self.world.get(unquote(address.path).removeprefix("/api/v4"))
        if found is None:
            return self._answer(404, {"message": "404 Not Found"})
        if not isinstance(found, list):
            return self._answer(200, found)
        return self._page(address.path, query, _asked(found, query))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(404, {"error": "404 Not Found"})

    def _page(self, path: str, query: dict[str, str], rows: Rows) -> None:
        size, page = min(int(query.get("per_page", 20)), 100), int(query.get("page", 1))
        more = len(rows) > page * size
        headers = {"X-Next-Page": str(page + 1) if more else ""}
        if more:
            asked = "&".join(f"{n}={v}" for n, v in {**query, "page": str(page + 1)}.items())
            headers["Link"] = f'<http://{self.headers["Host"]}{path}?{asked}>; rel="next"'
        self._answer(200, rows[(page - 1) * size : page * size], headers)

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the test's own output is enough."""


def _asked(rows: Rows, query: dict[str, str]) -> Rows:
    wanted = [row for row in rows if _passes(row, query)]
    order = query.get("order_by", "created_at")
    if wanted and all(row.get(order) is not None for row in wanted):
        wanted.sort(
            key=lambda row: (row[order], row.get("id", 0)), reverse=query.get("sort", "desc") == "desc"
        )
    return wanted


def _passes(row: dict[str, Any], query: dict[str, str]) -> bool:
    moved = row.get("updated_at")
    if moved and "updated_after" in query and _instant(moved) < _instant(query["updated_after"]):
        return False
    if moved and "updated_before" in query and _instant(moved) > _instant(query["updated_before"]):
        return False
    if query.get("state", "all") != "all" and "state" in row and row["state"] != query["state"]:
        return False
    return "source" not in row or query.get("source") in (None, row["source"])


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace(" ", "+"))


@contextmanager
def serving(world: World) -> Iterator[str]:
    """The server's address, without /api/v4, for as long as the block runs."""
    handler = type("Handler", (_Handler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

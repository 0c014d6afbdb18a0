"""The line between the collector and a demo GitLab: hands on what it is told to, and breaks as lines do.

The demo's own faults wait for whole seconds, as GitLab does. These wait for nothing, and strike where a test
says.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

JSON, TEXT = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
PIECES, PAUSE_S = 8, 0.002


@dataclass(frozen=True)
class Asked:
    """A request as it came. `address`: the path with its query, as the client wrote it."""

    method: str
    address: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.address.partition("?")[0].removeprefix("/api/v4")

    @property
    def is_graphql(self) -> bool:
        return self.path == "/api/graphql"


@dataclass(frozen=True)
class Reply:
    """Bytes as they go over the wire. `cut`: the whole length is announced, half comes, then the line breaks.

    `drip`: the body comes in so many pieces with a pause after each.
    """

    status: int = 200
    body: bytes = b"[]"
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    cut: bool = False
    drip: int = 0


@dataclass
class Line:
    """`instead` may answer in GitLab's place, `spoil` change what GitLab answered; both see every request."""

    target: str
    instead: Callable[[Asked], Reply | None] = lambda asked: None
    spoil: Callable[[Asked, Reply], Reply] = lambda asked, reply: reply
    asked: list[Asked] = field(default_factory=list)
    struck: int = 0
    url: str = ""

    def calm(self) -> None:
        """Hand everything on from now on."""
        self.instead, self.spoil = lambda asked: None, lambda asked, reply: reply
        self.asked, self.struck = [], 0

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        reply = self.instead(asked)
        if reply is None:
            found = self.hand_on(asked)
            reply = self.spoil(asked, found)
            self.struck += reply is not found
        else:
            self.struck += 1
        return reply

    def hand_on(self, asked: Asked) -> Reply:
        """GitLab's own answer."""
        parts = urlsplit(self.target)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            kept = {
                name: value
                for name, value in asked.headers.items()
                if name.lower() in ("private-token", "content-type")
            }
            connection.request(asked.method, asked.address, asked.body or None, kept)
            answer = connection.getresponse()
            body = answer.read()
            headers = {
                name: value.replace(self.target, self.url)
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "connection", "transfer-encoding")
            }
            return Reply(answer.status, body, headers)
        finally:
            connection.close()

    def count(self, part: str) -> int:
        """How many requests there were whose address or body has this in it."""
        return sum(part in one.address or part.encode() in one.body for one in self.asked)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    line: Line

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        reply = self.line.reply(Asked(self.command, self.path, dict(self.headers), body))
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.cut:
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self._hang_up()
        elif reply.drip:
            self._drip(reply)
        else:
            self.wfile.write(reply.body)

    def _drip(self, reply: Reply) -> None:
        size = max(1, -(-len(reply.body) // reply.drip))
        try:
            for start in range(0, len(reply.body), size):
                self.wfile.write(reply.body[start : start + size])
                self.wfile.flush()
                time.sleep(PAUSE_S)
        except OSError:
            self.close_connection = True  # the client lost its patience

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def line_to(target: str) -> Iterator[Line]:
    """A line to the GitLab at this address for the length of a block."""
    line = Line(target)
    handler = type("Request", (_Request,), {"line": line})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    line.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        server.shutdown()
        server.server_close()

"""A line that can go dead without being closed: what is sent goes nowhere, as behind a lost NAT entry."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SIZE = 1 << 16


class Proxy:
    """Forwards TCP from its own port to another; `freeze` makes all lines of now dead, not those to come."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._other: dict[socket.socket, socket.socket] = {}
        self._dead: list[socket.socket] = []  # kept open
        self._asked_to_freeze, self._frozen, self._over = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._eyes = selectors.DefaultSelector()
        self._eyes.register(self._door, selectors.EVENT_READ)

    def freeze(self) -> int:
        """Returns when it is so; how many lines it was."""
        before = len(self._dead)
        self._frozen.clear()
        self._asked_to_freeze.set()
        assert self._frozen.wait(timeout=5)
        return (len(self._dead) - before) // 2

    def serve(self) -> None:
        """A thread's whole life."""
        while not self._over.is_set():
            for key, _ in self._eyes.select(timeout=0.05):
                if key.fileobj is self._door:
                    self._let_in()
                else:
                    self._forward(key.fileobj)  # type: ignore[arg-type]
            if self._asked_to_freeze.is_set():
                self._asked_to_freeze.clear()
                self._stop_forwarding()
                self._frozen.set()

    def close(self) -> None:
        self._over.set()
        for end in [self._door, *self._other, *self._dead]:
            end.close()

    def _let_in(self) -> None:
        near, _ = self._door.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self._other[one] = other
            self._eyes.register(one, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        other = self._other.get(end)
        if other is None:
            return
        with suppress(OSError):
            if piece := end.recv(SIZE):
                other.sendall(piece)
                return
        for one in (end, other):
            self._eyes.unregister(one)
            del self._other[one]
            one.close()

    def _stop_forwarding(self) -> None:
        for end in self._other:
            self._eyes.unregister(end)
        self._dead += self._other
        self._other.clear()


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """A proxy to that port of this machine, for the length of the block."""
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()

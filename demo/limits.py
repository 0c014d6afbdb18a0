"""The request budget: real time, one window of a minute for everyone, told in headers of mixed case."""

from __future__ import annotations

import time
from email.utils import formatdate

from demo.paging import Header

WINDOW = 60


class Budget:
    """`per_minute` 0: no limit, no headers."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._window, self._used = 0, 0

    def take(self) -> tuple[bool, list[Header]]:
        """Use one request: whether it was granted, and the headers to send."""
        if not self.per_minute:
            return True, []
        window = int(time.time()) // WINDOW
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        granted = self._used <= self.per_minute
        reset = (window + 1) * WINDOW
        headers: list[Header] = [
            (b"RateLimit-Limit", b"%d" % self.per_minute),
            (b"ratelimit-name", b"throttle_authenticated_api"),
            (b"RateLimit-Observed", b"%d" % self._used),
            (b"RateLimit-Remaining", b"%d" % max(0, self.per_minute - self._used)),
            (b"RateLimit-Reset", b"%d" % reset),
        ]
        if not granted:
            headers.append((b"Retry-After", b"%d" % max(1, reset - int(time.time()))))
            headers.append((b"ratelimit-resettime", formatdate(reset, usegmt=True).encode()))
        return granted, headers

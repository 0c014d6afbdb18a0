"""The share of the budget that a process keeps to while Redis is away. The same pace, in memory."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from apps.collector.limits import GENERAL, MINUTE_S, Limit
from apps.collector.shared_budget import FAILURES, PAUSE_S, PROBE_S, SOON_S, Slot

STRAGGLING = 1.015  # as in the script: requests do not arrive exactly as they leave
HOUR_S = 3600.0


@dataclass(slots=True)
class _Pace:
    next_at: float = 0.0
    paused_until: float = 0.0
    told: float = 0.0


class LocalBudget:
    """`shares`: how many processes divide the limits between them. Times are of any one steady clock.

    It also follows what Redis grants, so that it can take over at any moment without a leap.
    """

    def __init__(self, *, shares: int, window_s: float = MINUTE_S) -> None:
        self.shares = shares
        self._scale = window_s / MINUTE_S
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}
        self._granted: deque[float] = deque(maxlen=20_000)
        self._refused: deque[float] = deque(maxlen=1_000)
        self._fails, self._failed_at, self._open_until, self._open_for = 0, 0.0, 0.0, 0.0
        self._probed_until, self._cause = 0.0, ""

    def reserve(self, limits: tuple[Limit, ...], *, patience_s: float, now: float) -> Slot:
        """A turn within this process's share; none is taken where it would be later than `patience_s`."""
        with self._lock:
            closed_s = max(self._open_until - now, min(self._probed_until - now, SOON_S * self._scale))
            if closed_s > 0:
                return Slot(closed_s, "broken", cause=self._cause)
            at = max([now, *(self._free_at(limit) for limit in limits)])
            if at - now > patience_s:
                return Slot(at - now, "late", limit=self._pace(GENERAL).told)
            self._take(limits, at)
            is_probe = self._open_until > 0
            if is_probe:
                self._probed_until = at + PROBE_S
            return Slot(at - now, limit=self._pace(GENERAL).told, processes=self.shares, is_probe=is_probe)

    def follow(self, limits: tuple[Limit, ...], slot: Slot, *, now: float) -> None:
        """Redis granted this: our own pace starts behind it."""
        with self._lock:
            self._pace(GENERAL).told = slot.limit
            self._take(limits, now + slot.wait_s, is_ours=False)

    def _take(self, limits: tuple[Limit, ...], at: float, *, is_ours: bool = True) -> None:
        self._granted.append(at)
        for limit in limits:
            pace, apart = self._pace(limit), self._apart(limit)
            behind = pace.next_at if is_ours else 0.0
            pace.next_at = max(behind, at) + apart

    def told(self, limit: Limit, most: float, *, now: float) -> None:
        """The server says how much this is; what left before anybody knew is charged to it."""
        pace = self._pace(limit)
        is_new, pace.told = not pace.told, most
        if is_new:
            debt = self._apart(limit) * self.used(now=now)
            pace.next_at = max(pace.next_at, now + min(debt, limit.window_s * self._scale))

    def hold(self, limit: Limit, wait_s: float, *, now: float) -> None:
        pace = self._pace(limit)
        pace.paused_until = max(pace.paused_until, now + wait_s)

    def is_held(self, limits: tuple[Limit, ...], *, now: float) -> bool:
        """Whether a pause has begun that a turn taken before it did not know of."""
        return any(self._pace(limit).paused_until > now for limit in limits)

    def refused(self, limit: Limit, wait_s: float, *, now: float) -> None:
        self._refused.append(now)
        self.hold(limit, wait_s, now=now)

    def failed(self, *, cause: str, is_probe: bool, now: float) -> None:
        with self._lock:
            if self._open_until:
                if is_probe:
                    self._open(cause, min(2 * self._open_for, 8 * PAUSE_S * self._scale), now)
                return
            recent = now - self._failed_at <= 2 * MINUTE_S * self._scale
            self._fails, self._failed_at = self._fails + 1 if recent else 1, now
            if self._fails >= FAILURES:
                self._open(cause, PAUSE_S * self._scale, now)

    def _open(self, cause: str, pause_s: float, now: float) -> None:
        self._cause, self._open_for, self._open_until = cause, pause_s, now + pause_s
        self._probed_until = 0.0

    def fine(self) -> None:
        self._fails, self._open_until, self._probed_until = 0, 0.0, 0.0

    def used(self, *, now: float) -> int:
        """Requests of this process in the last minute."""
        return sum(now - MINUTE_S * self._scale < at <= now for at in list(self._granted))

    def refusals(self, *, now: float) -> int:
        """429s that this process saw in the last hour."""
        return sum(at > now - HOUR_S for at in list(self._refused))

    @property
    def cause(self) -> str:
        """Why the server counts as down, nothing where it does not."""
        return self._cause if self._open_until else ""

    # --- pace --------------------------------------------------------------------------------

    def _pace(self, limit: Limit) -> _Pace:
        return self._paces.setdefault(limit.name, _Pace())

    def _most(self, limit: Limit) -> float:
        known = [value for value in (float(limit.most), self._pace(limit).told) if value > 0]
        return min(known, default=0.0) / self.shares

    def _apart(self, limit: Limit) -> float:
        most = self._most(limit)
        if not most:
            return 0.0
        return limit.window_s * self._scale * STRAGGLING / max(most - most * limit.burst - 1, most / 2)

    def _free_at(self, limit: Limit) -> float:
        pace = self._pace(limit)
        tolerance = self._apart(limit) * self._most(limit) * limit.burst
        return max(pace.paused_until, pace.next_at - tolerance)

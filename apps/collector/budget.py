"""Whose turn it is to ask GitLab: one budget for all workers of a token, and one breaker for its server.

The truth about pace is in Redis; without Redis every process keeps to its share. Learns from headers and
429s, knows no endpoint but by its limits, and never holds the token.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac
from redis import RedisError

from apps.collector import patience
from apps.collector.limits import GENERAL, MINUTE_S, Limit, limits_of
from apps.collector.local_budget import LocalBudget
from apps.collector.shared_budget import SharedBudget, Slot
from tem import clock

log = structlog.get_logger(__name__)
Found = TypeVar("Found")
REDIS_AGAIN_S = 2.0  # between two looks whether Redis is back
TOLD_AGAIN_S = 60.0  # a limit that stays the same is told to the others so often
LOW_WATER = 0.02  # below this share of the budget others spend it too: what is left is theirs
GRAPHQL_AT_ONCE = 4  # of one token, as GitLab asks


@dataclass(frozen=True, slots=True)
class Standing:
    """The budget at this moment. Counts of all processes, or of this one where `is_shared` is false.

    `limit`: requests a minute, None where none is known. `refusals`: 429s of the last hour; `waits` and
    `waited_s`: requests that had to wait in that hour, and for how long together. `paused_s`: until the next
    may leave. `breaker`: closed, open or probing, with the `cause` if it is not closed. `calls`: by what came
    of them (`judgement.OUTCOMES`), since the last pause of two hours or more.
    """

    used: int
    limit: int | None
    refusals: int
    waits: int
    waited_s: float
    paused_s: float
    breaker: str
    cause: str
    processes: int
    is_shared: bool
    calls: Mapping[str, int]


class Budget:
    """Of one token at one server, for all threads of this process. `window_s`: the length of a minute."""

    def __init__(self, *, key: str, redis_url: str, parallelism: int, window_s: float = MINUTE_S) -> None:
        self.window_s = window_s
        self.graphql = threading.BoundedSemaphore(max(1, GRAPHQL_AT_ONCE // parallelism))
        self._parallelism = parallelism
        self._shared = SharedBudget(redis_url, key=key, window_s=window_s)
        self._local = LocalBudget(shares=parallelism, window_s=window_s)
        self._redis_again_at = self._settled_at = 0.0
        self._is_shared = True
        self._fine_at: float | None = None
        self._told, self._told_at = 0.0, 0.0
        self._untold, self._lock = Counter[str](), threading.Lock()

    # --- a turn ------------------------------------------------------------------------------

    def turn(self, path: str, *, patience_s: float) -> Slot:
        """Wait for a turn of `path`; where that takes longer than `patience_s`, the refusal at once.

        A pause that began while we waited is waited for as well.
        """
        limits = limits_of(path)
        while True:
            slot = self._reserve(limits, patience_s=patience_s)
            if slot.refusal or slot.wait_s <= 0:
                return slot
            time.sleep(slot.wait_s)
            if not self._local.is_held(limits, now=time.monotonic()):
                return slot

    def _reserve(self, limits: tuple[Limit, ...], *, patience_s: float) -> Slot:
        now, share = time.monotonic(), None
        if now < self._settled_at:  # others may not know yet that Redis is back: keep to our share a while
            share = self._local.reserve(limits, patience_s=patience_s, now=now)
            if share.refusal:
                return share
        counted = self._counted()
        slot = self._ask(
            lambda: self._shared.reserve(
                limits,
                patience_s=patience_s,
                fine_since_s=None if self._fine_at is None else now - self._fine_at,
                after_s=share.wait_s if share else 0.0,
                calls=counted,
            )
        )
        if slot is None:
            with self._lock:
                self._untold.update(counted)
        if slot is None:  # it may have taken a second to find that out
            return share or self._local.reserve(limits, patience_s=patience_s, now=time.monotonic())
        self._local.shares = max(self._parallelism, slot.processes)
        if not slot.refusal and share is None:
            self._local.follow(limits, slot, now=now)
        return slot

    def note(self, outcome: str) -> None:
        """Count a call by what came of it; told to the others with our next request."""
        with self._lock:
            self._untold[outcome] += 1

    def _counted(self) -> dict[str, int]:
        with self._lock:
            told, self._untold = dict(self._untold), Counter()
        return told

    # --- what answers teach ------------------------------------------------------------------

    def learn(self, headers: Mapping[str, str], *, now: dt.datetime) -> None:
        """Take in `RateLimit-*`; `now` is the server's clock."""
        told = patience.budget_in(headers, now=now, ours=clock.now())
        if told is None:
            return
        if told.limit != self._told or time.monotonic() - self._told_at > TOLD_AGAIN_S:
            self._told, self._told_at = told.limit, time.monotonic()
            self._local.told(GENERAL, told.limit, now=time.monotonic())
            self._ask(lambda: self._shared.told(GENERAL, told.limit))
        if told.remaining <= max(1.0, told.limit * LOW_WATER) and told.reset_in_s > 0:
            wait_s = min(told.reset_in_s, self.window_s)
            self._local.hold(GENERAL, wait_s, now=time.monotonic())
            self._ask(lambda: self._shared.hold(GENERAL, wait_s))

    def refused(self, path: str, headers: Mapping[str, str], *, now: dt.datetime) -> float:
        """A 429: pause everyone under the limit that was hit; answers for how many seconds."""
        asked_s = patience.asked_wait(headers, now=now)
        told = patience.budget_in(headers, now=now, ours=now)
        is_general = told.remaining <= 0 if told else asked_s is not None
        limit = GENERAL if is_general else limits_of(path)[-1]
        wait_s = self.window_s if asked_s is None else asked_s
        self._local.refused(limit, wait_s, now=time.monotonic())
        self._ask(lambda: self._shared.refused(limit, wait_s, blind=asked_s is None))
        return wait_s

    def failed(self, cause: str, *, slot: Slot) -> None:
        """The server did not answer as one that is up; `cause` holds no secret."""
        self._local.failed(cause=cause, is_probe=slot.is_probe, now=time.monotonic())
        self._ask(lambda: self._shared.failed(cause=cause, is_probe=slot.is_probe))

    def fine(self, *, slot: Slot) -> None:
        """The server answered. Told to the others with our next request, a probe's success at once."""
        self._fine_at = time.monotonic()
        self._local.fine()
        if slot.is_probe:
            self._ask(self._shared.fine)

    # --- Redis, or not -----------------------------------------------------------------------

    def _ask(self, question: Callable[[], Found]) -> Found | None:
        """The answer of Redis; None while it is away."""
        now = time.monotonic()
        if now < self._redis_again_at:
            return None
        if not self._is_shared:
            self._redis_again_at = now + REDIS_AGAIN_S  # the other threads do not wait for this look
        try:
            found = question()
        except RedisError as error:
            self._redis_again_at = time.monotonic() + REDIS_AGAIN_S
            if self._is_shared:
                self._is_shared = False
                log.warning(
                    "Redis is away: keeping to a share of GitLab's budget", reason=type(error).__name__
                )
            return None
        if not self._is_shared:
            self._is_shared, self._redis_again_at = True, 0.0
            self._settled_at = time.monotonic() + 2 * REDIS_AGAIN_S
            log.info("Redis is back: GitLab's budget is shared again")
        return found

    def standing(self) -> Standing:
        """How the budget stands."""
        found = self._ask(lambda: self._shared.standing(GENERAL))
        if found is None:
            now, cause = time.monotonic(), self._local.cause
            used, refusals = self._local.used(now=now), self._local.refusals(now=now)
            return Standing(
                used, round(self._told) or None, refusals, 0, 0.0, 0.0, "open" if cause else "closed", cause,
                1, False, {},
            )  # fmt: skip
        return _standing_of(found)


def _standing_of(found: Mapping[str, Any]) -> Standing:
    waiting = found["open_ms"] > 0
    return Standing(
        used=found["used"],
        limit=round(found["limit"]) or None,
        refusals=found["refusals"],
        waits=found["waits"],
        waited_s=found["waited_ms"] / 1000,
        paused_s=found["pause_ms"] / 1000,
        breaker=("open" if waiting else "probing") if found["is_open"] else "closed",
        cause=found["cause"] if found["is_open"] else "",
        processes=found["processes"],
        is_shared=True,
        calls=found["calls"] or {},  # an empty table of Lua's is a list
    )


@lru_cache(maxsize=64)
def budget_of(url: str, token: str) -> Budget:
    """The budget of a token at a server; one in a process."""
    digest = salted_hmac("tem.budget", token).hexdigest()[:16]
    parts = urlsplit(url)
    key = f"{settings.TEM_REDIS_PREFIX}budget:{parts.hostname}:{parts.port}:{digest}"
    return Budget(key=key, redis_url=settings.TEM_REDIS_URL, parallelism=settings.TEM_MAX_PARALLELISM)


def standing() -> Standing:
    """How the budget of GITLAB_API_TOKEN stands, for `/status`."""
    return budget_of(settings.GITLAB_URL, settings.GITLAB_TOKEN).standing()

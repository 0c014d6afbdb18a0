"""How long to wait before asking GitLab again. Knows headers and clocks, no endpoint.

Every header may be absent, a date, a float, negative or garbage: none of them may raise or make us wait for
hours.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 900.0
WINDOW_S = 60.0  # application limits come without headers; most of their windows are one minute
LOW_WATER = 0.05  # below this share of the budget we leave the rest to others


def server_time(headers: Mapping[str, str], *, otherwise: dt.datetime) -> dt.datetime:
    """The server's clock by its `Date` header, in UTC; `otherwise` where it says nothing usable."""
    try:
        value = parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError, IndexError):
        return otherwise
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def number(text: str | None) -> float | None:
    """A finite number from a header, or None."""
    try:
        value = float(text)  # type: ignore[arg-type]  # None and garbage are what we are here for
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def asked_wait(headers: Mapping[str, str], *, now: dt.datetime) -> float | None:
    """Seconds that `Retry-After` or `RateLimit-Reset` ask for, capped; None where neither is usable."""
    retry_after = headers.get("Retry-After")
    seconds = number(retry_after)
    if seconds is None and retry_after:
        seconds = _until_date(retry_after, now=now)
    if seconds is None or seconds < 0:
        reset = number(headers.get("RateLimit-Reset"))
        seconds = reset - now.timestamp() if reset is not None else None
    if seconds is None or seconds < 0:
        return None
    return min(seconds, LONGEST_WAIT_S)


def _until_date(text: str, *, now: dt.datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
    return (moment - now).total_seconds()


def full_jitter(attempt: int, *, first_s: float, most_s: float) -> float:
    """Anything between nothing and an exponentially growing bound, so that workers do not march in step."""
    return random.uniform(0, min(most_s, first_s * 2.0 ** min(attempt, 16)))  # no secret


class Pace:
    """The budget as the last answer told it. The one place to hold back: a shared bucket belongs here."""

    def __init__(self) -> None:
        self._free_at: float = 0.0

    def learn(self, headers: Mapping[str, str], *, now: dt.datetime) -> None:
        """Take in `RateLimit-*`: when little is left, everyone waits for the next window."""
        limit, remaining = number(headers.get("RateLimit-Limit")), number(headers.get("RateLimit-Remaining"))
        reset = number(headers.get("RateLimit-Reset"))
        if not limit or remaining is None or reset is None:
            return
        spent = remaining <= max(1.0, limit * LOW_WATER)
        self._free_at = min(reset, now.timestamp() + WINDOW_S) if spent else 0.0

    def due_in(self, *, now: dt.datetime) -> float:
        """Seconds until the next request may leave, 0 when it may leave now."""
        return max(0.0, self._free_at - now.timestamp()) if self._free_at else 0.0

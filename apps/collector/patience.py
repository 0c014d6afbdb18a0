"""How long to wait before asking GitLab again. Knows headers and clocks, no endpoint.

Every header may be absent, a date, a float, negative or garbage: none of them may raise or make us wait for
hours.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 900.0
MINUTE_S = 60.0  # of GitLab's budget


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


@dataclass(frozen=True, slots=True)
class Told:
    """What `RateLimit-*` say: requests a minute, how many are left, seconds until all are back."""

    limit: float
    remaining: float
    reset_in_s: float


def budget_in(headers: Mapping[str, str], *, now: dt.datetime, ours: dt.datetime) -> Told | None:
    """The budget as an answer tells it; None where it does not, or tells nonsense.

    The reset is read by the server's clock `now`; by our own where that puts it further away than a minute.
    """
    limit, remaining = number(headers.get("RateLimit-Limit")), number(headers.get("RateLimit-Remaining"))
    reset = number(headers.get("RateLimit-Reset"))
    if limit is None or limit < 1 or remaining is None or reset is None:
        return None
    waits = [reset - clock.timestamp() for clock in (now, ours)]
    return Told(limit, remaining, next((wait for wait in waits if wait <= MINUTE_S + 1), waits[0]))

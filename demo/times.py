"""Instants as whole milliseconds since 1970 UTC, how GitLab writes them, and when people work."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OPENS, WORKDAY = 8 * HOUR + 30 * MINUTE, 9 * HOUR + 30 * MINUTE  # local time of day, length
MONDAY_SHIFT = 3  # 1 January 1970 was a Thursday


def millis(moment: dt.datetime) -> int:
    """An aware datetime as milliseconds."""
    return int(moment.timestamp() * 1000)


def parse(text: str) -> int:
    """ISO 8601 (a date, or a time with or without a zone: UTC then). Raises ValueError."""
    moment = dt.datetime.fromisoformat(text.strip().replace(" ", "+"))
    return millis(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


_TIMES = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440)]
_SECONDS = [f"{second:02}" for second in range(60)]


def iso(moment: int | None) -> str | None:
    """REST's way: UTC with milliseconds."""
    if moment is None:
        return None
    day, rest = divmod(moment, DAY)
    minute, rest = divmod(rest, MINUTE)
    return f"{_date(day)}{_TIMES[minute]}{rest // 1000:02}.{rest % 1000:03}Z"


def iso_seconds(moment: int | None) -> str | None:
    """GraphQL's way: UTC, whole seconds."""
    if moment is None:
        return None
    day, rest = divmod(moment, DAY)
    minute, rest = divmod(rest, MINUTE)
    return f"{_date(day)}{_TIMES[minute]}{_SECONDS[rest // 1000]}Z"


@lru_cache(maxsize=8192)
def zone_offset(day: int) -> int:
    """Amsterdam's distance from UTC at noon of that day, in ms: near enough for habits and commit dates."""
    noon = dt.datetime.fromtimestamp(day * 86400 + 43200, dt.UTC)
    delta = noon.astimezone(AMSTERDAM).utcoffset()
    return int(delta.total_seconds() * 1000) if delta else 0


def iso_zoned(moment: int) -> str:
    """Git's way: the committer's own zone."""
    offset = zone_offset(moment // DAY)
    local = iso(moment + offset) or ""
    return f"{local[:-1]}+{offset // HOUR:02}:00"


def to_work(moment: int) -> int:
    """The working time that had passed by then; nights and weekends stand still."""
    local = moment + zone_offset(moment // DAY)
    day, clock = divmod(local, DAY)
    week, weekday = divmod(day + MONDAY_SHIFT, 7)
    if weekday >= 5:
        return (week * 5 + 5) * WORKDAY
    return (week * 5 + weekday) * WORKDAY + min(max(clock - OPENS, 0), WORKDAY)


def from_work(work: int) -> int:
    """The instant at which that much working time has passed."""
    workday, rest = divmod(work, WORKDAY)
    week, weekday = divmod(workday, 5)
    local = (week * 7 + weekday - MONDAY_SHIFT) * DAY + OPENS + rest
    return local - zone_offset(local // DAY)


def after_work(moment: int, hours: float) -> int:
    """`hours` of working time later, never before `moment`."""
    return max(moment + SECOND, from_work(to_work(moment) + int(hours * HOUR)))


def is_workday(moment: int) -> bool:
    """Whether people work on the local day that holds this instant."""
    local = moment + zone_offset(moment // DAY)
    return (local // DAY + MONDAY_SHIFT) % 7 < 5

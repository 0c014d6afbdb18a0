"""What a day is. The only module that knows the display time zone, and the only door to the clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings

UTC = dt.UTC
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC instants, `[since, until)`."""

    since: dt.datetime
    until: dt.datetime

    def __contains__(self, instant: dt.datetime) -> bool:
        return self.since <= instant < self.until


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone() -> ZoneInfo:
    """The zone in which days are counted and instants are shown (setting `TIMEZONE`)."""
    return _zone(settings.TEM_TIMEZONE)


def now() -> dt.datetime:
    """The present instant in UTC. For doors only (task, view, command); everything else is told the time."""
    return dt.datetime.now(UTC)


def day_of(instant: dt.datetime) -> dt.date:
    """The local calendar day that an aware instant falls on."""
    return instant.astimezone(zone()).date()


def midnight(day: dt.date) -> dt.datetime:
    """The UTC instant at which the local day begins."""
    return dt.datetime.combine(day, dt.time(), tzinfo=zone()).astimezone(UTC)


def window(day: dt.date, days: int = 1) -> Window:
    """The `days` local days that end with `day`: 23 or 25 hours long where the clocks change."""
    return Window(since=midnight(day - (days - 1) * _DAY), until=midnight(day + _DAY))


def days_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every day from `first` to `last`, both included; empty where `last` lies before `first`."""
    return [first + n * _DAY for n in range((last - first).days + 1)]

"""Which run is due: a schedule in local time turned into slots, each with one name and one instant.

A crontab loses or doubles slots on the days the clocks change, and forgets those that nobody was up
for. Here a slot is a fact of the calendar: one nightly a local day, one hourly run an hour that passes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from apps.runs.models import Run
from tem import clock

NIGHTLY_AT, DEADLINE = dt.time(2), dt.time(3)
WEEKLY_ON, WEEKLY_AT = 6, dt.time(4)  # Sunday, when the night's work is done and few people wait for numbers
HEAD_START = dt.timedelta(minutes=60)
HOURLY_MINUTE = 15
UNDONE = (Run.State.FAILED, Run.State.CANCELLED)  # ended, and its slot's work is not done
_MINUTE, _DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One logical occasion: `name` never occurs twice for a kind, `at` is its UTC instant."""

    name: str
    at: dt.datetime


def nightly_at(day: dt.date) -> dt.datetime:
    """When the day's nightly starts: the first local 02:00, or an hour before the deadline if earlier.

    On the spring day 02:00 does not exist, and would begin at the deadline itself.
    """
    first, deadline = (dt.datetime.combine(day, time, tzinfo=clock.zone()) for time in (NIGHTLY_AT, DEADLINE))
    return min(first.astimezone(clock.UTC), deadline.astimezone(clock.UTC) - HEAD_START)


def last_nightly(now: dt.datetime) -> Slot:
    """The newest nightly slot that is not in the future."""
    today = clock.day_of(now)
    day = today if nightly_at(today) <= now else today - _DAY
    return Slot(name=day.isoformat(), at=nightly_at(day))


def next_nightly(now: dt.datetime) -> Slot:
    """The nightly slot that comes next."""
    day = dt.date.fromisoformat(last_nightly(now).name) + _DAY
    return Slot(name=day.isoformat(), at=nightly_at(day))


def last_weekly(now: dt.datetime) -> Slot:
    """The newest weekly slot that is not in the future."""
    today = clock.day_of(now)
    sunday = today - _DAY * ((today.weekday() - WEEKLY_ON) % 7)
    slot = _weekly(sunday)
    return slot if slot.at <= now else _weekly(sunday - 7 * _DAY)


def next_weekly(now: dt.datetime) -> Slot:
    """The weekly slot that comes next."""
    return _weekly(dt.date.fromisoformat(last_weekly(now).name) + 7 * _DAY)


def _weekly(day: dt.date) -> Slot:
    at = dt.datetime.combine(day, WEEKLY_AT, tzinfo=clock.zone())
    return Slot(name=day.isoformat(), at=at.astimezone(clock.UTC))


def last_hourly(now: dt.datetime) -> Slot:
    """The newest instant, not in the future, at which local clocks showed a quarter past.

    Named by its UTC instant: the hour that comes twice in autumn has two slots.
    """
    at = now.replace(second=0, microsecond=0)
    while at.astimezone(clock.zone()).minute != HOURLY_MINUTE:
        at -= _MINUTE
    return _hourly(at)


def next_hourly(now: dt.datetime) -> Slot:
    """The hourly slot that comes next."""
    at = now.replace(second=0, microsecond=0) + _MINUTE
    while at.astimezone(clock.zone()).minute != HOURLY_MINUTE:
        at += _MINUTE
    return _hourly(at)


def _hourly(at: dt.datetime) -> Slot:
    utc = at.astimezone(clock.UTC)
    return Slot(name=f"{utc:%Y-%m-%dT%H:%MZ}", at=utc)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A kind with a schedule: its slots, and the kinds whose runs do its work as well.

    It yields to those while one is under way, and a slot that one of them began after needs no run.
    `waits_for`: kinds that do not do its work, but write the same rows.
    """

    kind: str
    last: Callable[[dt.datetime], Slot]
    next: Callable[[dt.datetime], Slot]
    covered_by: tuple[str, ...]
    waits_for: tuple[str, ...] = ()


RHYTHMS = (
    Rhythm("weekly", last_weekly, next_weekly, covered_by=("backfill",), waits_for=("nightly",)),
    Rhythm("nightly", last_nightly, next_nightly, covered_by=("backfill", "weekly")),
    Rhythm("incremental", last_hourly, next_hourly, covered_by=("backfill", "nightly", "weekly")),
)


def due(rhythm: Rhythm, *, now: dt.datetime) -> Slot | None:
    """The rhythm's newest slot if nothing has done its work yet. Older missed slots are not made up for."""
    slot = rhythm.last(now)
    others = Run.objects.filter(kind__in=rhythm.covered_by)
    own = Run.objects.filter(kind=rhythm.kind)
    in_the_way = Run.objects.filter(kind__in=(*rhythm.covered_by, *rhythm.waits_for), state=Run.State.ACTIVE)
    is_covered = (
        own.filter(slot=slot.name).exists()
        or own.filter(requested_at__gte=slot.at).exists()
        or in_the_way.exists()
        or others.filter(requested_at__gte=slot.at).exclude(state__in=UNDONE).exists()
    )
    return None if is_covered else slot

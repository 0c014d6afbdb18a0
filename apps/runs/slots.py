"""Which run is due: a schedule in local time turned into slots, each with one name and one instant.

A crontab loses or doubles slots on the days the clocks change, and forgets those that nobody was up
for. Here a slot is a fact of the calendar: one nightly a local day, one hourly run an hour that passes.
The times are those of the beat table, where admins edit them; what it lacks has the times it began with.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from celery.schedules import ParseException, crontab
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from apps.runs.models import Run
from tem import clock
from tem.schedule import RUNS_AT

DEADLINE = dt.time(3)
UNDONE = (Run.State.FAILED, Run.State.CANCELLED)  # ended, and its slot's work is not done
FAR = 400  # days: a schedule without a slot in so many has none
_MINUTE, _DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One logical occasion: `name` never occurs twice for a kind, `at` is its UTC instant."""

    name: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Times:
    """Local times: the five fields of a crontab, each a set. Sunday is 0.

    `is_for_deadline`: a slot before 03:00 starts as long before it as the clock says, also on the spring day,
    on which 02:00 does not exist and would begin at the deadline itself.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_for_deadline: bool = False

    @classmethod
    def of(cls, at: str, *, is_for_deadline: bool = False) -> Times:
        """Of a crontab's five fields. Raises ParseException, ValueError."""
        minute, hour, day, month, weekday = at.split()
        one = crontab(minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday)
        return cls(
            minutes=frozenset(one.minute),
            hours=frozenset(one.hour),
            days=frozenset(one.day_of_month),
            months=frozenset(one.month_of_year),
            weekdays=frozenset(one.day_of_week),
            is_for_deadline=is_for_deadline,
        )

    @classmethod
    def of_fields(cls, one: CrontabSchedule, *, is_for_deadline: bool = False) -> Times:
        """Of a row of the table, which may have blanks after its commas. Raises what `of` raises."""
        fields = (one.minute, one.hour, one.day_of_month, one.month_of_year, one.day_of_week)
        return cls.of(" ".join(field.replace(" ", "") for field in fields), is_for_deadline=is_for_deadline)

    def on(self, day: dt.date) -> list[Slot]:
        """The slots of a local day, in order."""
        is_meant = day.day in self.days and day.month in self.months
        if not is_meant or day.isoweekday() % 7 not in self.weekdays:
            return []
        return list(self._passing(day) if len(self.hours) == 24 else self._told(day))

    def _passing(self, day: dt.date) -> Iterator[Slot]:
        """Every hour that passes: the one that comes twice in autumn has its slots twice."""
        window, zone = clock.window(day), clock.zone()
        at = window.since
        while at < window.until:
            if at.astimezone(zone).minute in self.minutes:
                yield Slot(name=f"{at:%Y-%m-%dT%H:%MZ}", at=at)
            at += _MINUTE

    def _told(self, day: dt.date) -> Iterator[Slot]:
        """The first instant at which clocks show the time; one that they skip comes when they have."""
        for nth, time in enumerate(sorted(dt.time(h, m) for h in self.hours for m in self.minutes)):
            at = _instant(day, time)
            if self.is_for_deadline and time < DEADLINE:
                ahead = dt.datetime.combine(day, DEADLINE) - dt.datetime.combine(day, time)
                at = min(at, _instant(day, DEADLINE) - ahead)
            yield Slot(name=f"{day}T{time:%H:%M}" if nth else day.isoformat(), at=at)

    def last(self, now: dt.datetime) -> Slot | None:
        """The newest slot that is not in the future."""
        days = (clock.day_of(now) - nth * _DAY for nth in range(-1, FAR))
        return next(self._among(days, lambda slot: slot.at <= now, newest=True), None)

    def next(self, now: dt.datetime) -> Slot | None:
        """The slot that comes next."""
        days = (clock.day_of(now) + nth * _DAY for nth in range(FAR))
        return next(self._among(days, lambda slot: slot.at > now, newest=False), None)

    def _among(
        self, days: Iterable[dt.date], is_meant: Callable[[Slot], bool], *, newest: bool
    ) -> Iterator[Slot]:
        for day in days:
            if found := [slot for slot in self.on(day) if is_meant(slot)]:
                yield found[-1 if newest else 0]


def _instant(day: dt.date, time: dt.time) -> dt.datetime:
    return dt.datetime.combine(day, time, tzinfo=clock.zone()).astimezone(clock.UTC)


def deadline_of(slot: Slot) -> dt.datetime:
    """When a nightly is to be done: the first local 03:00 after its start, as a UTC instant."""
    day = clock.day_of(slot.at)
    return next(at for at in (_instant(day + nth * _DAY, DEADLINE) for nth in range(3)) if at > slot.at)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A kind with a schedule, and the kinds whose runs do its work as well.

    It yields to those while one is under way, and a slot that one of them began after needs no run.
    `waits_for`: kinds that do not do its work, but write the same rows.
    """

    kind: str
    covered_by: tuple[str, ...]
    waits_for: tuple[str, ...] = ()

    def times(self) -> Times | None:
        """When its slots are, by the beat table; None while an admin has switched it off."""
        told = {"is_for_deadline": self.kind == "nightly"}
        entry = PeriodicTask.objects.filter(name=self.kind).select_related("crontab").first()
        if entry is not None and not entry.enabled:
            return None
        if entry is None or entry.crontab is None:
            return Times.of(_BEGINNING[self.kind], **told)
        return Times.of_fields(entry.crontab, **told)

    def last(self, now: dt.datetime) -> Slot | None:
        """The newest slot that is not in the future; None where there is none."""
        times = self.times()
        return times.last(now) if times else None

    def next(self, now: dt.datetime) -> Slot | None:
        """The slot that comes next; None where there is none."""
        times = self.times()
        return times.next(now) if times else None


_BEGINNING = {entry.name: entry.at for entry in RUNS_AT}
WEEKLY = Rhythm("weekly", covered_by=("backfill",), waits_for=("nightly",))
NIGHTLY = Rhythm("nightly", covered_by=("backfill", "weekly"))
HOURLY = Rhythm("incremental", covered_by=("backfill", "nightly", "weekly"))
RHYTHMS = (WEEKLY, NIGHTLY, HOURLY)
NOT_UNDERSTOOD = (ParseException, ValueError)


def due(rhythm: Rhythm, *, now: dt.datetime) -> Slot | None:
    """The rhythm's newest slot if nothing has done its work yet. Older missed slots are not made up for."""
    slot = rhythm.last(now)
    if slot is None:
        return None
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


def done_at(rhythm: Rhythm, slot: Slot) -> Run | None:
    """The run that did the slot's work, if one has ended well."""
    ended = Run.objects.filter(state__in=[Run.State.DONE, Run.State.PARTIAL])
    own = ended.filter(kind=rhythm.kind, slot=slot.name).first()
    kinds = (rhythm.kind, *rhythm.covered_by)
    return own or ended.filter(kind__in=kinds, requested_at__gte=slot.at).order_by("id").first()

"""When a run will probably be done, from how runs of its kind went and how this one goes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median, quantiles

from django.db.models import Count, Max, Q

from apps.runs.models import Run, RunStep
from apps.runs.phases import LEFT_OUT

LOOK_BACK = 20  # runs of the kind
FEW = 5  # with fewer than so many the range is widened
AT_LEAST_S = 30.0  # of doubt, where few runs are known
OVERDUE = 0.1  # of the time it has taken so far: what a phase is given that should have been over

Course = Mapping[str, float]
"""Of a run that ended: seconds from the end of the phase before to the end of each, in the plan's order."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is. `for_s`: seconds since its phase began. `waits_s`: until its last step may go on."""

    phase: str
    after: Sequence[str]
    for_s: float
    settled: int
    total: int
    waits_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds until a run's end: as many or fewer in a tenth, in half and in nine tenths of what may be."""

    low_s: float
    middle_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a run will probably end (UTC), between when and when, and from how many runs that is known."""

    expected: dt.datetime
    earliest: dt.datetime
    latest: dt.datetime
    runs: int


def left(standing: Standing, past: Sequence[Course]) -> Left | None:
    """What is left of a run that stands so; None while neither a run before nor its own pace says anything.

    Each run before tells one possible rest. A phase that takes longer than it did then goes on at the pace
    that its steps keep now, which is one more possibility anyway.
    """
    pace_s = _at_its_pace(standing)
    if not past and (pace_s is None or standing.after):
        return None
    usual = {name: median(seen) for name in standing.after if (seen := [c[name] for c in past if name in c])}
    rests = [sum(course.get(name, usual.get(name, 0.0)) for name in standing.after) for course in past]
    found = [
        _of_phase(standing, course, pace_s=pace_s) + rest for course, rest in zip(past, rests, strict=True)
    ]
    if pace_s is not None:
        found.append(pace_s + (median(rests) if rests else 0.0))
    return _spread([max(one, standing.waits_s) for one in found], is_little=len(past) < FEW)


def _at_its_pace(standing: Standing) -> float | None:
    if not standing.settled or not standing.total:
        return None
    return standing.for_s / standing.settled * (standing.total - standing.settled)


def _of_phase(standing: Standing, course: Course, *, pace_s: float | None) -> float:
    """Seconds left of the open phase, if it goes as it did then."""
    as_then = course.get(standing.phase, 0.0) - standing.for_s
    if as_then > 0:
        return as_then
    return standing.for_s * OVERDUE if pace_s is None else pace_s


def _spread(found: list[float], *, is_little: bool) -> Left:
    middle = median(found)
    tenths = quantiles(found, n=10, method="inclusive") if len(found) > 1 else [middle] * 9
    low, high = tenths[0], tenths[-1]
    if is_little:
        low, high = low * 0.7, max(high * 1.5, middle + AT_LEAST_S)
    return Left(low_s=low, middle_s=middle, high_s=high)


def forecast(run: Run, *, phases: Sequence[str], now: dt.datetime) -> Forecast | None:
    """When a run under way will be done; None where it has ended or nothing is known. `phases`: of its plan.

    Until a run of the kind has ended, runs of other kinds speak for the phases that they share.
    """
    if run.state != Run.State.ACTIVE:
        return None
    own = courses(Run.objects.filter(kind=run.kind), phases=phases)
    past = own or courses(Run.objects.all(), phases=phases)
    seconds = left(_standing(run, phases=phases, now=now), past)
    if seconds is None:
        return None
    low, middle, high = (
        now + dt.timedelta(seconds=round(s)) for s in (seconds.low_s, seconds.middle_s, seconds.high_s)
    )
    return Forecast(expected=middle, earliest=low, latest=high, runs=len(past))


def courses(runs: object, *, phases: Sequence[str]) -> list[Course]:
    """How the newest of these runs that reached their end went."""
    ended = runs.filter(state__in=[Run.State.DONE, Run.State.PARTIAL])  # type: ignore[attr-defined]
    newest = dict(ended.order_by("-id").values_list("pk", "requested_at")[:LOOK_BACK])
    steps = RunStep.objects.filter(run_id__in=newest, finished_at__isnull=False).order_by("run_id")
    ends = steps.values_list("run_id", "phase").annotate(at=Max("finished_at"))
    return [
        _course({phase: at for _, phase, at in found}, begun=newest[run], phases=phases)
        for run, found in groupby(ends, key=lambda row: row[0])
    ]


def _course(ends: Mapping[str, dt.datetime], *, begun: dt.datetime, phases: Sequence[str]) -> Course:
    """A phase that was over before the one ahead of it took no time of its own."""
    course, at = {}, begun
    for phase in phases:
        if phase in ends:
            course[phase] = max(0.0, (ends[phase] - at).total_seconds())
            at = max(at, ends[phase])
    return course


def _standing(run: Run, *, phases: Sequence[str], now: dt.datetime) -> Standing:
    phase = run.phase if run.phase in phases else phases[0]
    position = list(phases).index(phase)
    before = run.steps.filter(phase__in=phases[:position]).aggregate(at=Max("finished_at"))["at"]
    counted = run.steps.filter(phase=phase).aggregate(
        total=Count("id"),
        settled=Count("id", filter=Q(state=RunStep.State.DONE) | Q(state__in=LEFT_OUT)),
        until=Max("not_before", filter=Q(state=RunStep.State.PENDING)),
    )
    until = counted.pop("until")
    return Standing(
        phase=phase,
        after=phases[position + 1 :],
        for_s=max(0.0, (now - (before or run.requested_at)).total_seconds()),
        waits_s=max(0.0, (until - now).total_seconds()) if until else 0.0,
        **counted,
    )

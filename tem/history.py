"""Which days and which projects a run is about. Asks the rooms; knows no phase and no task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.collector import discover, people
from apps.collector.collect import Thoroughness
from apps.collector.exclusions import exclude
from apps.collector.models import Exclusion, Project, Server
from apps.metrics.difference import Difference
from apps.metrics.models import PlacedProject
from apps.runs import slots
from apps.runs.ledger import Claim
from apps.runs.models import RunStep
from apps.runs.phases import LEFT_OUT
from tem import clock
from tem.errors import TemError

LONGEST_DAYS = 730
NIGHTLY_REREAD = dt.timedelta(days=7)
_DAY = dt.timedelta(days=1)


class BadRequest(TemError):
    """What was asked for cannot be run: the message says which bound it broke."""


class NoHistory(TemError):
    """Nothing has been collected yet, so there is nothing to compute from."""

    def __init__(self) -> None:
        super().__init__("Nothing has been collected yet: run a backfill first.")


@dataclass(frozen=True, slots=True)
class Span:
    """Local days, both ends included."""

    first: dt.date
    last: dt.date

    def __or__(self, other: Span | None) -> Span:
        return Span(min(self.first, other.first), max(self.last, other.last)) if other else self

    def as_cursor(self) -> dict[str, str]:
        return {"first": self.first.isoformat(), "last": self.last.isoformat()}

    @classmethod
    def of(cls, cursor: dict[str, Any]) -> Span | None:
        """The span that `as_cursor` wrote, None where there is none."""
        if "first" not in cursor:
            return None
        return cls(dt.date.fromisoformat(cursor["first"]), dt.date.fromisoformat(cursor["last"]))


def start() -> dt.date | None:
    """The first local day of the collected history; None before the first backfill's collection closed."""
    since = Server.objects.filter(history_since__isnull=False).order_by("-probed_at").first()
    return clock.day_of(since.history_since) if since and since.history_since else None


def parameters(
    kind: str,
    *,
    now: dt.datetime,
    days: int | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
    scheduled: bool = False,
) -> dict[str, Any]:
    """The run's days, settled once when it is asked for, so that a resumed run means the same ones.

    first: collected (backfill) or recomputed from that local midnight; last: the run's own day, or
    the last day to recompute. Raises BadRequest, NoHistory.
    """
    today = clock.day_of(now)
    known = start()
    if kind == "backfill":
        first = today - _checked(settings.TEM_BACKFILL_DAYS if days is None else days) * _DAY
    elif kind == "recompute":
        if known is None:
            raise NoHistory
        first, last = _checked_window(first or known, last or today, known=known, today=today)
    else:
        first = known or today - settings.TEM_BACKFILL_DAYS * _DAY
    return {**Span(first, last or today).as_cursor(), "today": today.isoformat(), "scheduled": scheduled}


def _checked(days: int) -> int:
    if not 1 <= days <= LONGEST_DAYS:
        raise BadRequest(f"days must be from 1 to {LONGEST_DAYS}, not {days}.")
    return days


def _checked_window(
    first: dt.date, last: dt.date, *, known: dt.date, today: dt.date
) -> tuple[dt.date, dt.date]:
    if first > last:
        raise BadRequest(f"The first day, {first}, lies after the last, {last}.")
    if last > today:
        raise BadRequest(f"{last} lies in the future: today is {today}.")
    if last < known:
        raise BadRequest(f"The collected history begins on {known}, after {last}.")
    return max(first, known), last


def projects_to_collect() -> dict[int, str]:
    """The projects that the last discovery left in, and their paths."""
    return _paths(discover.projects_to_collect())


def projects_to_link() -> dict[int, str]:
    """The projects whose commits get other authors by what other projects told, and their paths."""
    placed = PlacedProject.objects.filter(project_id__in=people.projects_to_link()).order_by("project_id")
    return _paths(placed.values_list("project_id", flat=True))


def projects_with_rows() -> dict[int, str]:
    """Every project that was ever collected and is still placed, and its path."""
    return _paths(PlacedProject.objects.order_by("project_id").values_list("project_id", flat=True))


def _paths(ids: Collection[int]) -> dict[int, str]:
    paths = dict(Project.objects.filter(pk__in=list(ids)).values_list("project_id", "path_with_namespace"))
    return {project: paths.get(project, "") for project in ids}


def placement() -> list[tuple[Any, ...]]:
    """Where every project stands and by which rules, comparable with what it was before."""
    return list(PlacedProject.objects.order_by("project_id").values_list())


def since(step: Claim) -> dt.datetime:
    """The instant from which the step's run collects."""
    return clock.midnight(dt.date.fromisoformat(step.parameters["first"]))


def thoroughness(step: Claim) -> Thoroughness:
    """How much the step's run takes on trust.

    An increment asks for what moved. A night looks a week further back, for what changes without a trace, and
    at everything open; once a week all ids are listed, to find what GitLab lost. A backfill reads everything.
    """
    return Thoroughness(
        fresh=_swept_at(step.run_id),
        reread=NIGHTLY_REREAD if step.kind in ("nightly", "weekly") else dt.timedelta(),
        again=step.kind in ("nightly", "weekly"),
        sweep=step.kind == "weekly",
    )


def _swept_at(run_id: int) -> dt.datetime | None:
    """When the run's sweep of groups began, by GitLab's clock; None where it had none."""
    swept = RunStep.objects.filter(run_id=run_id, phase="sweep", cursor__has_key="began").first()
    return dt.datetime.fromisoformat(swept.cursor["began"]) if swept else None


def project_of(step: Claim) -> int:
    """The project of a step that has one; another one would be a mistake of the plan."""
    if step.project_id is None:
        raise ValueError(f"the {step.phase} step {step.step_id} has no project")
    return step.project_id


def noted(step: Claim, touched: Span | None) -> dict[str, Any]:
    """What a compute step remembers: the days it touched, together with those of an attempt before."""
    before = Span.of(step.cursor)
    span = touched | before if touched else before
    return span.as_cursor() if span else {}


def changes(run_id: int) -> list[RunStep]:
    """Finished steps whose differences no roll-up took in: this run's, and those of runs cut short."""
    steps = RunStep.objects.filter(phase__in=["place", "compute", "link", "deliver"]).exclude(cursor={})
    return [*steps.filter(run_id=run_id), *steps.filter(run__state__in=slots.UNDONE)]


def span_of(difference: Difference) -> Span | None:
    """The days that a rebuild's difference touches, None where nothing changed."""
    return Span(min(difference.days), max(difference.days)) if difference.days else None


def forget(steps: Collection[RunStep]) -> None:
    """The roll-up took them in: in its own transaction, or a crash in between would lose days."""
    RunStep.objects.filter(pk__in=[step.pk for step in steps]).update(cursor={})


def to_roll_up(step: Claim, steps: Collection[RunStep]) -> Span:
    """The days to fold again.

    A backfill and a nightly fold all of history (what is true of a day may have aged); a recompute its
    window; an increment yesterday and today; and each of them every day from the first that changed,
    because a change lives on in the windows after it.
    """
    today = dt.date.fromisoformat(step.parameters["today"])
    known = start()
    if known is None:
        raise NoHistory
    asked = {"recompute": Span.of(step.parameters), "incremental": Span(today - _DAY, today)}
    span = asked.get(step.kind) or Span(known, today)
    for change in steps:
        span |= Span(known, today) if "all" in change.cursor else Span.of(change.cursor)
    changed = any(change.cursor for change in steps)
    return Span(max(span.first, known), today if changed else span.last)


def to_export(step: Claim) -> list[dt.date]:
    """Every complete day of history: what stands is left alone, what a run left behind is written."""
    known, today = start(), dt.date.fromisoformat(step.parameters["today"])
    return clock.days_between(known, today - _DAY) if known else []


def findings_before(step: Claim) -> dict[str, int]:
    """How many findings of each kind the last run before this one ended with; {} before the first."""
    ended = RunStep.objects.filter(phase="check", cursor__has_key="findings", run_id__lt=step.run_id)
    last = ended.order_by("-run_id").first()
    return dict(last.cursor["findings"]["all"]) if last else {}


def close_collection(step: Claim, *, now: dt.datetime) -> None:
    """History is known once a collection is over; the projects that it lost are listed with their reason."""
    if step.kind == "backfill":
        discover.remember_history(since(step))
    lost = RunStep.objects.filter(run_id=step.run_id, project_id__isnull=False, state__in=LEFT_OUT)
    for one in lost.exclude(error_class="GitlabRefused"):
        waited = one.error_class == "GitlabUnavailable"
        reason = Exclusion.Reason.FAILED if waited else Exclusion.Reason.QUARANTINED
        exclude(one.project_id, reason=reason, detail=one.error_text, now=now)  # type: ignore[arg-type]

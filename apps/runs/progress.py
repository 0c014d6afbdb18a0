"""How far a run is, told from the ledger's rows: for the terminal, `/status` and the pages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from operator import itemgetter

from django.db.models import Count, F, Min, Q, Sum

from apps.runs.ledger import ATTEMPTS
from apps.runs.models import Run, RunStep
from apps.runs.phases import LEFT_OUT


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """Steps of one phase: how many there are, how many are done and left out."""

    name: str
    total: int
    done: int
    left_out: int
    rows: int
    requests: int
    started_at: dt.datetime | None
    opened: int  # phases opened in this order

    @property
    def settled(self) -> int:
        return self.done + self.left_out


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a run. `waiting` says what is waited for, where a step waits for GitLab or a retry."""

    run: Run
    phases: list[PhaseProgress] = field(default_factory=list)
    waiting: str = ""

    @property
    def rows(self) -> int:
        return sum(phase.rows for phase in self.phases)

    @property
    def requests(self) -> int:
        return sum(phase.requests for phase in self.phases)

    @property
    def is_over(self) -> bool:
        return self.run.state != Run.State.ACTIVE


def snapshot(run_id: int, *, now: dt.datetime) -> Snapshot:
    """The run as it stands; phases in the order in which they opened."""
    run = Run.objects.get(pk=run_id)
    counted = (
        run.steps.order_by()
        .values(name=F("phase"))
        .annotate(
            total=Count("id"),
            done=Count("id", filter=Q(state=RunStep.State.DONE)),
            left_out=Count("id", filter=Q(state__in=LEFT_OUT)),
            rows=Sum("rows"),
            requests=Sum("requests"),
            started_at=Min("started_at"),
            opened=Min("id"),
        )
    )
    phases = [PhaseProgress(**row) for row in sorted(counted, key=itemgetter("opened"))]
    return Snapshot(run=run, phases=phases, waiting=_waiting(run, now=now))


def _waiting(run: Run, *, now: dt.datetime) -> str:
    step = run.steps.filter(state=RunStep.State.PENDING, not_before__gt=now).order_by("not_before").first()
    if step is None:
        return ""
    seconds = max(1, round((step.not_before - now).total_seconds()))  # type: ignore[operator]  # filtered on
    who = f"{step.phase} of {step.label or 'all projects'}"
    return f"{who} waits {seconds} s (attempt {step.attempt} of {ATTEMPTS}): {step.error_text}"


def seconds_left(phase: PhaseProgress, *, now: dt.datetime) -> float | None:
    """Seconds until the phase is done at the pace it has kept so far; None before the first step is done."""
    if not phase.settled or phase.started_at is None:
        return None
    return (now - phase.started_at).total_seconds() / phase.settled * (phase.total - phase.settled)

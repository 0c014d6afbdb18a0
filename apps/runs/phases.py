"""From one phase to the next: fan out, fan in, finalise. Knows phases by name and nothing of their work.

Everything happens under the run's row lock and is decided from the rows alone, so it may be asked at
any time, by anybody, any number of times: by the worker that finished a step, or by the reconciler.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, F, Sum

from apps.runs import alerts
from apps.runs.models import Run, RunStep

OPEN = (RunStep.State.PENDING, RunStep.State.LEASED)
LEFT_OUT = (RunStep.State.FAILED, RunStep.State.QUARANTINED)

# One statement, since it is asked after every step of a run that may have thousands.
_FOLLOW = """
insert into run_step (run_id, phase, project_id, label, state, attempt, fence, holder, cursor,
                      rows, requests, error_class, error_text)
select done.run_id, %(phase)s, done.project_id, done.label, 'pending', 0, 0, '', '{}', 0, 0, '', ''
  from run_step done
 where done.run_id = %(run)s and done.phase = %(follows)s and done.state = 'done'
   and not exists (select from run_step there
                    where there.run_id = done.run_id and there.phase = %(phase)s
                      and coalesce(there.project_id, 0) = coalesce(done.project_id, 0))
 order by done.project_id
    on conflict do nothing
"""

# The run is held against its end only for as long as the statement lasts, so that workers do not queue up.
_FOLLOW_ONE = """
insert into run_step (run_id, phase, project_id, label, state, attempt, fence, holder, cursor,
                      rows, requests, error_class, error_text)
select done.run_id, %(phase)s, done.project_id, done.label, 'pending', 0, 0, '', '{}', 0, 0, '', ''
  from run_step done join run on run.id = done.run_id
 where done.id = %(step)s and done.state = 'done' and run.state = 'active'
   for share of run
    on conflict do nothing
"""

_IS_OPEN = """
select exists (select from run_step
                where run_id = %(run)s and phase = %(phase)s and state in ('pending', 'leased'))
"""


_OPEN = """
insert into run_step (run_id, phase, project_id, label, state, attempt, fence, holder, cursor,
                      rows, requests, error_class, error_text)
select %(run)s, %(phase)s, id, label, 'pending', 0, 0, '', '{}', 0, 0, '', ''
  from unnest(%(ids)s::bigint[], %(labels)s::text[]) with ordinality as project(id, label, place)
 order by place
    on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of a plan: one step for all, or one for each of `projects()`, asked when it opens.

    `projects` answers {project id: what people call it}. With `follows`, a project's step appears
    as soon as that phase, the one before, is done for it.
    """

    name: str
    projects: Callable[[], Mapping[int, str]] | None = None
    follows: str = ""


Plan = tuple[Phase, ...]


class Next(NamedTuple):
    """What the end of a step brought: a step that follows it, or perhaps the end of its phase."""

    has_follower: bool
    may_be_over: bool


def follow(step_id: int, *, run_id: int, phase: str, plan: Plan) -> Next:
    """Let what follows a step of this phase appear; `advance` is due only if the phase may be over.

    Takes no lock that another worker's step would wait for. Of two workers that end the last two steps,
    the one whose step was entered later sees both as ended, so one of them is always told.
    """
    names = [one.name for one in plan]
    after = plan[names.index(phase) + 1 :][:1]
    added = 0
    with connection.cursor() as sql:
        if after and after[0].follows == phase:
            sql.execute(_FOLLOW_ONE, {"phase": after[0].name, "step": step_id})
            added = sql.rowcount
        sql.execute(_IS_OPEN, {"run": run_id, "phase": phase})
        is_open = sql.fetchone()[0]
    return Next(has_follower=added > 0, may_be_over=not is_open)


@transaction.atomic
def advance(run_id: int, *, plan: Plan, now: dt.datetime) -> None:
    """Close the open phase if its steps are settled, open the next, finalise after the last."""
    run = Run.objects.select_for_update().get(pk=run_id)
    if run.state != Run.State.ACTIVE:
        return
    names = [phase.name for phase in plan]
    position = names.index(run.phase) if run.phase else _open(run, plan, 0)
    while _is_closed(run, plan, position):
        if reason := _obstacle(run, plan[position]):
            end_run(run.pk, state=Run.State.FAILED, reason=reason, now=now)
            return
        if position + 1 == len(plan):
            _finalise(run, now=now)
            return
        position = _open(run, plan, position + 1)
    if run.phase != names[position]:
        Run.objects.filter(pk=run.pk).update(phase=names[position])


def _open(run: Run, plan: Plan, position: int) -> int:
    phase = plan[position]
    if phase.follows:
        _add_followers(run, phase)
    else:
        _add(run, phase, phase.projects() if phase.projects else {None: ""})
        run.steps.filter(phase=phase.name, state=RunStep.State.WAITING).update(state=RunStep.State.PENDING)
    return position


def _is_closed(run: Run, plan: Plan, position: int) -> bool:
    if position + 1 < len(plan) and plan[position + 1].follows:
        _add_followers(run, plan[position + 1])
    return not run.steps.filter(phase=plan[position].name, state__in=OPEN).exists()


def _add_followers(run: Run, phase: Phase) -> None:
    with connection.cursor() as sql:
        sql.execute(_FOLLOW, {"run": run.pk, "phase": phase.name, "follows": phase.follows})


def _add(run: Run, phase: Phase, projects: Mapping[Any, str]) -> None:
    told: dict[str, Any] = {"run": run.pk, "phase": phase.name}
    told |= {"ids": list(projects), "labels": list(projects.values())}
    with connection.cursor() as sql:
        sql.execute(_OPEN, told)


def _obstacle(run: Run, phase: Phase) -> str:
    """Why the run cannot go on: its step for all projects was lost, or every project was."""
    steps = run.steps.filter(phase=phase.name)
    lost = steps.filter(state__in=LEFT_OUT).order_by("id").first()
    if lost is None:
        return ""
    if lost.project_id is None:
        return f"{phase.name}: {lost.error_text}"
    if not steps.filter(state=RunStep.State.DONE).exists():
        return f"{phase.name}: no project succeeded. {_told(lost)}"
    return ""


def _finalise(run: Run, *, now: dt.datetime) -> None:
    lost = list(run.steps.filter(state__in=LEFT_OUT).order_by("label", "project_id"))
    more = f"; and {len(lost) - 20} more" if len(lost) > 20 else ""
    listed = "; ".join(_told(step) for step in lost[:20]) + more
    count = "1 project was" if len(lost) == 1 else f"{len(lost)} projects were"
    reason = f"{count} left out. {listed}" if lost else ""
    end_run(run.pk, state=Run.State.PARTIAL if lost else Run.State.DONE, reason=reason, now=now)


def _told(step: RunStep) -> str:
    return f"{step.label or f'project {step.project_id}'}: {step.error_text}"


@transaction.atomic
def end_run(run_id: int, *, state: Run.State, reason: str, now: dt.datetime) -> bool:
    """Finalise the run, once: answers whether this call did it. Steps still open end with it.

    The fence of a step under way grows, so that its worker's next write is refused.
    """
    run = Run.objects.select_for_update().get(pk=run_id)
    if run.state != Run.State.ACTIVE:
        return False
    run.steps.filter(state__in=OPEN).update(
        state=RunStep.State.FAILED,
        fence=F("fence") + 1,
        error_class="RunEnded",
        error_text="the run ended before this step did",
        finished_at=now,
    )
    run.state, run.reason, run.finished_at, run.summary = state, reason, now, _summary(run)
    run.save(update_fields=["state", "reason", "finished_at", "summary"])
    if state == Run.State.FAILED:
        text = f"Run {run.pk}, {run}, failed. {reason}"
        alerts.raise_alert(
            alerts.RUN_FAILED, occasion=f"{run.pk} {now:%Y-%m-%dT%H:%M}", text=text, now=now, run=run
        )
    return True


def _summary(run: Run) -> dict[str, object]:
    """Of the whole run: {"rows", "requests", "steps", "left_out": [{"project_id", "path", "reason"}]}."""
    totals = run.steps.aggregate(
        rows=Sum("rows", default=0), requests=Sum("requests", default=0), steps=Count("id")
    )
    lost = run.steps.filter(state__in=LEFT_OUT, project_id__isnull=False).order_by("label", "project_id")
    left_out = [
        {"project_id": step.project_id, "path": step.label, "reason": step.error_text} for step in lost
    ]
    return {**totals, "left_out": left_out}

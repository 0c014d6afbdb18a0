"""What people may do to a run: ask for it, cancel it, have its lost steps tried again. Behind every door.

The page of the admin, the command, the API and Flower's button call these functions and nothing else.
Each request has a key: sent twice it is done once, and both times told the same. Each is kept as a
RunAction. Knows phases by name and nothing of their work.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Min

from apps.runs.errors import NotNow
from apps.runs.models import Run, RunAction, RunStep
from apps.runs.phases import LEFT_OUT, OPEN, Plan, end_run

What = RunAction.What


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, when (UTC), and the key of the request."""

    who: str
    key: str
    now: dt.datetime


def started(kind: str, *, order: Order) -> Run | None:
    """The run that a request of this key got before. Raises NotNow when the key was another request's."""
    done = RunAction.objects.select_related("run").filter(key=order.key).first()
    if done is None:
        return None
    if (done.what, done.run.kind) != (What.START, kind):
        raise NotNow(f"The key was used for another request: {done}.")
    done.run.joined = True
    return done.run


def note_start(run: Run, *, order: Order, asked: Mapping[str, str]) -> None:
    """Keep who asked for the run, or for the one that it joined."""
    answer = f"Run {run.pk} was under way." if run.joined else f"Run {run.pk} was opened."
    entered = {"run": run, "what": What.START, "asked": dict(asked), "answer": answer, "at": order.now}
    RunAction.objects.get_or_create(key=order.key, defaults={**entered, "who": order.who[:200]})


def cancel(run_id: int, *, order: Order) -> RunAction:
    """End the run as it stands. Workers that hold a step of it are refused their next write.

    A run that is cancelled already is left alone. Raises NotNow when it ended otherwise, Run.DoesNotExist.
    """

    def act(run: Run) -> tuple[list[int], str]:
        if run.state == Run.State.CANCELLED:
            return [], f"Run {run.pk} was cancelled already."
        under_way = list(run.steps.filter(state__in=OPEN).values_list("pk", flat=True))
        if not end_run(run.pk, state=Run.State.CANCELLED, reason=f"cancelled by {order.who}", now=order.now):
            raise NotNow(f"Run {run.pk} is over: {run.state}.")
        return under_way, f"Run {run.pk} is cancelled: {_steps(len(under_way))} ended with it."

    return _once(run_id, What.CANCEL, {}, act, order=order)


def retry(
    run_id: int,
    *,
    plan: Plan,
    order: Order,
    cause: str = "",
    step_id: int | None = None,
    renewed: Mapping[str, Any] | None = None,
) -> RunAction:
    """Have the run's lost steps tried again, with fresh attempts: all, those of one cause, or one.

    A run that ended is the same Run again, with what it did; what came after the steps is done again
    when they are. `renewed`: parameters that mean another thing by now. Raises NotNow while another run
    of the kind is under way, or when the step is no lost one of this run; Run.DoesNotExist.
    """

    def act(run: Run) -> tuple[list[int], str]:
        lost = _lost(run, cause=cause, step_id=step_id)
        if not lost:
            return [], f"Run {run.pk} has nothing to retry."
        _reopen(run, {**run.parameters, **(renewed or {})})
        _take_back(run, lost, plan=plan)
        return [step.pk for step in lost], f"Run {run.pk} goes on: {_steps(len(lost))} to try again."

    asked = {"cause": cause} if cause else {"step": step_id} if step_id is not None else {}
    return _once(run_id, What.RETRY, asked, act, order=order)


def attempt_again(
    run_id: int, *, plan: Plan, parallelism: int, order: Order, hopeless: Collection[str] = ()
) -> RunAction:
    """A second attempt of a run that is late: every step afresh, so many at once at most.

    What is under way is taken back, and goes on where it got to. A run that failed is opened again, and what
    it lost is tried again, except for errors named in `hopeless`. Raises NotNow as `retry` does.
    """

    def act(run: Run) -> tuple[list[int], str]:
        if run.state not in (Run.State.ACTIVE, Run.State.FAILED):
            return [], f"Run {run.pk} is over: {run.state}."
        lost = [step for step in _lost(run, cause="", step_id=None) if step.error_class not in hopeless]
        _reopen(run, run.parameters)
        Run.objects.filter(pk=run.pk).update(parallelism=parallelism)
        under_way = list(run.steps.filter(state__in=OPEN).values_list("pk", flat=True))
        run.steps.filter(pk__in=under_way).update(state=RunStep.State.PENDING, **_AFRESH)
        if lost:
            _take_back(run, lost, plan=plan)
        taken = under_way + [step.pk for step in lost]
        return taken, f"Run {run.pk} goes on: {_steps(len(taken))}, at most {parallelism} at once."

    return _once(run_id, What.RETRY, {"parallelism": parallelism}, act, order=order)


def causes(run: Run) -> list[dict[str, Any]]:
    """The run's lost steps by cause, most frequent first: [{"error_class", "phase", "steps", "example"}]."""
    lost = run.steps.filter(state__in=LEFT_OUT).order_by()
    groups = lost.values("error_class", "phase").annotate(steps=Count("id"), example=Min("error_text"))
    return [dict(group) for group in groups.order_by("-steps", "error_class", "phase")]


_AFRESH: dict[str, Any] = {
    "attempt": 0,
    "fence": F("fence") + 1,
    "lease_until": None,
    "not_before": None,
    "hinted_at": None,
    "finished_at": None,
    "error_class": "",
    "error_text": "",
}
"""A step as if nobody had tried it, but for its counts and how far it got; whoever holds it is refused."""


def _once(
    run_id: int,
    what: RunAction.What,
    asked: dict[str, Any],
    act: Callable[[Run], tuple[list[int], str]],
    *,
    order: Order,
) -> RunAction:
    """Do it under the run's lock unless the key says that it was done; answer what was entered."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_id)
        done = RunAction.objects.filter(key=order.key).first()
        if done is None:
            steps, answer = act(run)
            entered = {"who": order.who[:200], "at": order.now, "key": order.key}
            return run.actions.create(what=what, asked=asked, steps=steps, answer=answer, **entered)
    if (done.run_id, done.what, done.asked) != (run_id, what, asked):
        raise NotNow(f"The key was used for another request: {done}.")
    return done


def _lost(run: Run, *, cause: str, step_id: int | None) -> list[RunStep]:
    steps = run.steps.filter(state__in=LEFT_OUT)
    if cause:
        steps = steps.filter(error_class=cause)
    if step_id is not None:
        steps = steps.filter(pk=step_id)
        if not run.steps.filter(pk=step_id).exists():
            raise NotNow(f"Run {run.pk} has no step {step_id}.")
    return list(steps.order_by("pk"))


def _reopen(run: Run, parameters: dict[str, Any]) -> None:
    """Active again, unless another run of its kind is: the database itself refuses two."""
    if run.state == Run.State.ACTIVE:
        return
    run.state, run.finished_at, run.reason, run.parameters = Run.State.ACTIVE, None, "", parameters
    try:
        with transaction.atomic():
            run.save(update_fields=["state", "finished_at", "reason", "parameters"])
    except IntegrityError:
        other = Run.objects.filter(kind=run.kind, state=Run.State.ACTIVE).first()
        which = f"run {other.pk}" if other else "another one"
        raise NotNow(f"A {run.kind} is under way, {which}: retry when it has ended, or cancel it.") from None


def _take_back(run: Run, lost: list[RunStep], *, plan: Plan) -> None:
    """Open the lost steps again, from the earliest phase among them, and have what came after done anew.

    A phase that follows the one before project by project keeps the steps that stand. Steps of later
    phases wait until their phase opens; they keep the days that they noted, which no roll-up may have seen.
    """
    names = [phase.name for phase in plan]
    first = min(names.index(step.phase) for step in lost)
    after = first + 1
    while after < len(plan) and plan[after].follows:
        after += 1
    at_once = [step.pk for step in lost if names.index(step.phase) < after]
    run.steps.filter(pk__in=at_once).update(state=RunStep.State.PENDING, **_AFRESH)
    run.steps.filter(phase__in=names[after:]).update(state=RunStep.State.WAITING, **_AFRESH)
    if run.phase and names.index(run.phase) > first:
        Run.objects.filter(pk=run.pk).update(phase=names[first])


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"

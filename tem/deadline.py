"""Whether the night will be done by 03:00, and what is done about it if not.

Ten minutes before, people are told if that does not look so; at the deadline they are told that it is not,
and the run is tried once more with half the steps at once. Asked again any time, it does nothing twice.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from apps.runs import alerts, controls, slots
from apps.runs.errors import NotNow
from apps.runs.forecast import Forecast, forecast
from apps.runs.models import Alert, Run
from apps.runs.slots import NIGHTLY, Slot
from tem import clock, history, pipeline

WARNED_BEFORE = dt.timedelta(minutes=10)
NO_SENSE_AGAIN = ("GitlabRefused",)  # GitLab said no, and will say so again


def expected(run: Run, *, now: dt.datetime) -> Forecast | None:
    """When a run under way will probably be done; None for one that ended, or of which nothing is known."""
    plan = pipeline.PLANS.get(run.kind, ())
    return forecast(run, phases=[phase.name for phase in plan], now=now) if plan else None


def of(run: Run) -> dt.datetime | None:
    """When the run is to be done (UTC); None for one that has no deadline."""
    slot = NIGHTLY.last(run.requested_at) if run.kind == NIGHTLY.kind else None
    return slots.deadline_of(slot) if slot and slot.name == run.slot else None


def is_late(run: Run, found: Forecast | None, *, now: dt.datetime) -> bool | None:
    """Whether it ended after its deadline, or will probably; None for a run that has none."""
    due_by = of(run)
    if due_by is None:
        return None
    return (run.finished_at or max(now, found.expected if found else now)) > due_by


def look(*, now: dt.datetime) -> None:
    """At the newest night: warn, page, try again, and say so when a late one is done after all."""
    slot = NIGHTLY.last(now) if history.start() else None
    if slot is None:
        return
    due_by = slots.deadline_of(slot)
    if done := slots.done_at(NIGHTLY, slot):
        _say_done(slot, done, now=now)
    elif now >= due_by:
        _missed(slot, due_by, now=now)
    elif now >= due_by - WARNED_BEFORE:
        _warn(slot, due_by, now=now)


def _run_of(slot: Slot) -> Run | None:
    """The run that does the night's work: its own, or one under way that covers it."""
    own = Run.objects.filter(kind=NIGHTLY.kind, slot=slot.name).first()
    kinds = (NIGHTLY.kind, *NIGHTLY.covered_by)
    return own or Run.objects.filter(kind__in=kinds, state=Run.State.ACTIVE).first()


def _warn(slot: Slot, due_by: dt.datetime, *, now: dt.datetime) -> None:
    run = _run_of(slot)
    found = expected(run, now=now) if run else None
    if found and found.expected <= due_by:
        return
    alerts.raise_alert(
        alerts.DEADLINE_AT_RISK, occasion=slot.name, text=f"{_standing(slot, run, found)}", now=now, run=run
    )


def _missed(slot: Slot, due_by: dt.datetime, *, now: dt.datetime) -> None:
    run = _run_of(slot)
    again = _second_attempt(run, due_by, now=now) if run else ""
    text = f"{_standing(slot, run, expected(run, now=now) if run else None)} {again}".strip()
    alerts.raise_alert(alerts.DEADLINE_MISSED, occasion=slot.name, text=text, now=now, run=run)


def _second_attempt(run: Run, due_by: dt.datetime, *, now: dt.datetime) -> str:
    """Try a night once more that began in time; answers what came of it, in words."""
    if run.kind != NIGHTLY.kind or run.requested_at >= due_by:
        return ""
    order = controls.Order(who="the deadline", key=f"deadline of run {run.pk}", now=now)
    plan = pipeline.PLANS[run.kind]
    half = max(1, settings.TEM_MAX_PARALLELISM // 2)
    try:
        action = controls.attempt_again(
            run.pk, plan=plan, parallelism=half, order=order, hopeless=NO_SENSE_AGAIN
        )
    except NotNow as refusal:
        return str(refusal)
    if action.at == now:
        pipeline.move_on(run.pk, kind=run.kind)
    return action.answer


def _say_done(slot: Slot, run: Run, *, now: dt.datetime) -> None:
    if not Alert.objects.filter(kind=alerts.DEADLINE_MISSED.name, occasion=slot.name).exists():
        return
    text = f"The night of {slot.name} is done: run {run.pk}, {run.state} at {_told(run.finished_at or now)}."
    alerts.raise_alert(alerts.DEADLINE_MET_LATE, occasion=slot.name, text=text, now=now, run=run)


def _standing(slot: Slot, run: Run | None, found: Forecast | None) -> str:
    if run is None:
        return f"The night of {slot.name} has no run."
    if run.state != Run.State.ACTIVE:
        return f"The night of {slot.name} is not done: run {run.pk} is {run.state}. {run.reason}".strip()
    when = (
        f"It will probably be done at {_told(found.expected)},"
        f" between {_told(found.earliest)} and {_told(found.latest)}."
        if found
        else "Nothing is known yet of how long such a run takes."
    )
    return f"The night of {slot.name} is under way: run {run.pk}, in phase {run.phase}. {when}"


def _told(at: dt.datetime) -> str:
    return f"{at.astimezone(clock.zone()):%H:%M}"

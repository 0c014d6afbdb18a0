"""The whole product on one screen. Read this first; then `tem.work`, what is done in each phase.

A run goes through the phases of its plan; a phase is one step for all projects, or one for each.
Steps are rows of the ledger (`apps.runs`). The Celery tasks below are hints that a step is due: they
carry ids only, and may come twice, late or never. Knows no SQL and no HTTP.
"""

from __future__ import annotations

import datetime as dt
import signal
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init, worker_ready

from apps.runs import ledger, phases, slots
from apps.runs import reconcile as keeper
from apps.runs.ledger import Claim
from apps.runs.models import Run
from apps.runs.phases import Phase, Plan
from tem import clock, hints, history, work
from tem.hints import Door
from tem.processes import tie_to_parent
from tem.steps import Work, attempt

DISCOVER = Phase("discover")
SWEEP = Phase("sweep")
PLACE = Phase("place")
COLLECT = Phase("collect", projects=history.projects_to_collect)
COMPUTE = Phase("compute", follows="collect")  # a project's, as soon as it is collected
LINK = Phase("link", projects=history.projects_to_link)  # who wrote a commit may show elsewhere only
RECOMPUTE = Phase("compute", projects=history.projects_with_rows)
DELIVER = Phase("deliver")  # an issue of one project may go out with another
ROLL_UP = Phase("roll_up")
DRIFT = Phase("drift")  # before the files, which say whether the numbers are to be trusted
PARITY = Phase("parity")
EXPORT = Phase("export")
CHECK = Phase("check")

PLANS: dict[str, Plan] = {
    "backfill": (DISCOVER, PLACE, COLLECT, COMPUTE, LINK, DELIVER, ROLL_UP, EXPORT, CHECK),
    "nightly": (DISCOVER, PLACE, SWEEP, COLLECT, COMPUTE, LINK, DELIVER, ROLL_UP, DRIFT, EXPORT, CHECK),
    "weekly": (
        DISCOVER,
        PLACE,
        SWEEP,
        COLLECT,
        COMPUTE,
        LINK,
        DELIVER,
        ROLL_UP,
        DRIFT,
        PARITY,
        EXPORT,
        CHECK,
    ),
    "incremental": (DISCOVER, PLACE, SWEEP, COLLECT, COMPUTE, LINK, DELIVER, ROLL_UP, CHECK),
    "recompute": (PLACE, RECOMPUTE, DELIVER, ROLL_UP, EXPORT, CHECK),
    "parity": (PARITY, CHECK),
}


def start(kind: str, *, slot: str, now: dt.datetime, **asked: Any) -> Run:
    """Have the product run once; answers the run, or the one of its kind that is under way (`joined`).

    `asked`: days (backfill), first and last (recompute), scheduled.
    """
    run = ledger.open_run(kind, slot=slot, parameters=history.parameters(kind, now=now, **asked), now=now)
    move_on(run.pk, kind=kind)
    return run


# --- the tasks: doors. A hint for one step of the ledger ------------------------------------------

SHORT = {"acks_late": True, "reject_on_worker_lost": True}
LONG = {**SHORT, "soft_time_limit": 1500, "time_limit": 1620}  # below the broker's visibility timeout
TIMER_S = 5.0


def door(phase: str, do: Work, *, queue: str, limits: dict[str, Any]) -> Door:
    """The task that does the steps of a phase."""

    @shared_task(name=f"tem.pipeline.{phase}", **limits)
    def task(*, run_id: int, step_id: int) -> None:
        take(step_id, do)

    return Door(task, queue=queue)


DOORS = {
    "discover": door("discover", work.discover_all, queue="collect", limits=SHORT),
    "place": door("place", work.place_projects, queue="compute", limits=SHORT),
    "sweep": door("sweep", work.sweep_groups, queue="collect", limits=SHORT),
    "collect": door("collect", work.collect_one, queue="collect", limits=SHORT),
    "compute": door("compute", work.compute_one, queue="compute", limits=LONG),
    "link": door("link", work.link_people, queue="compute", limits=LONG),
    "deliver": door("deliver", work.deliver_issues, queue="compute", limits=LONG),
    "roll_up": door("roll_up", work.roll_up_days, queue="compute", limits=LONG),
    "drift": door("drift", work.compare_facts, queue="compute", limits=LONG),
    "parity": door("parity", work.ask_again, queue="collect", limits=LONG),
    "export": door("export", work.export_days, queue="export", limits=LONG),
    "check": door("check", work.check, queue="ops", limits=SHORT),
}


@shared_task(name="tem.pipeline.tick")
def tick() -> None:
    """Once a minute: open the runs that are due (`ensure_runs`)."""
    ensure_runs(now=clock.now())


@shared_task(name="tem.pipeline.reconcile")
def reconcile() -> None:
    """Twice a minute: nothing stays lost."""
    reconcile_now()


# --- what keeps it moving -------------------------------------------------------------------------


def take(step_id: int, work: Work) -> None:
    """Claim the step, do its work, move its run on. Not getting the claim is everyday life, not an error."""
    claim = ledger.claim(step_id, now=clock.now())
    if claim is not None:
        attempt(claim, work)
        go_on(claim)


def go_on(claim: Claim) -> None:
    """After a step: the whole run is looked at only when the step may have been its phase's last."""
    after = phases.follow(claim.step_id, run_id=claim.run_id, phase=claim.phase, plan=PLANS[claim.kind])
    if after.may_be_over:
        move_on(claim.run_id, kind=claim.kind)
    elif after.has_follower or claim.is_limited:
        hints.send(keeper.due(now=clock.now(), run_id=claim.run_id), doors=DOORS)


def move_on(run_id: int, *, kind: str) -> None:
    """Open what the run's finished steps allow, and tell workers of it."""
    phases.advance(run_id, plan=PLANS[kind], now=clock.now())
    hints.send(keeper.due(now=clock.now(), run_id=run_id), doors=DOORS)


def ensure_runs(*, now: dt.datetime) -> None:
    """Open the newest slot of each schedule whose work nothing has done; not before there is a history."""
    if history.start() is None:
        return
    for rhythm in slots.RHYTHMS:
        if slot := slots.due(rhythm, now=now):
            start(rhythm.kind, slot=slot.name, now=now, scheduled=True)


def reconcile_now() -> None:
    """Take back what the dead hold, move every active run on, repeat the hints that were lost."""
    hints.send(keeper.reconcile(plans=PLANS, now=clock.now()) or [], doors=DOORS)


@worker_process_init.connect
def die_with_worker(**_: Any) -> None:
    """A pool child does not outlive its worker: what it holds is free at once, not when its lease ends."""
    tie_to_parent(signal.SIGKILL)


@worker_ready.connect
def keep_reconciling(**_: Any) -> None:
    """Beat may be away: every worker looks after the ledger too."""
    over = threading.Event()
    told = {"every_s": TIMER_S, "over": over}
    threading.Thread(target=keeper.keep_going, args=(reconcile_now,), kwargs=told, daemon=True).start()

"""The whole product on one screen. Read this first.

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
from django.conf import settings
from django.db import transaction

from apps.collector import discover, people
from apps.collector.client import Client
from apps.collector.collect import collect
from apps.collector.sweep import sweep
from apps.exports import artifacts
from apps.metrics import parity, quality
from apps.metrics.drift import check_drift
from apps.metrics.facts import build, deliver
from apps.metrics.placement import place_all
from apps.metrics.rollup import roll_up
from apps.orgmap.place import OrgMap
from apps.runs import ledger, phases, slots
from apps.runs import reconcile as keeper
from apps.runs.ledger import Claim
from apps.runs.models import Run
from apps.runs.phases import Phase, Plan
from tem import clock, hints, history
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


# --- the work of each phase: one call into a room, and what the ledger should remember of it -------


def discover_all(step: Claim) -> None:
    client, groups = Client.from_settings(), OrgMap.load().root_groups
    discover.discover(client=client, now=clock.now(), since=history.since(step), root_groups=groups)
    step.save(requests=client.requests)  # only now: whatever is saved counts as getting somewhere


def place_projects(step: Claim) -> None:
    """A change of placement or rules touches every day of history."""
    with transaction.atomic():
        before = history.placement()
        place_all(org=OrgMap.load())
        if before != history.placement():
            step.save(cursor={"all": True})


def sweep_groups(step: Claim) -> None:
    """A few requests for whole groups, so that projects at rest need none."""
    client, groups, how = Client.from_settings(), OrgMap.load().root_groups, history.thoroughness(step)
    began = sweep(client=client, root_groups=groups, step=step, reread=how.reread, again=how.again)
    step.save(cursor={"began": began.isoformat()})


def collect_one(step: Claim) -> None:
    since, how = history.since(step), history.thoroughness(step)
    client = Client.from_settings()
    collect(history.project_of(step), client=client, since=since, step=step, thoroughness=how)


def compute_one(step: Claim) -> None:
    """The build and the days that it touched are stored together, or a crash would forget the days."""
    with transaction.atomic():
        difference = build(history.project_of(step), anew=step.kind == "recompute")
        step.save(cursor=history.noted(step, history.span_of(difference)))


def link_people(step: Claim) -> None:
    """Names that came with other projects, and what they change."""
    project = history.project_of(step)
    with transaction.atomic():
        people.link_by_address(project)
        step.save(cursor=history.noted(step, history.span_of(build(project))))


def deliver_issues(step: Claim) -> None:
    """Which deployment brought each issue to production; the days that this touches are stored with it."""
    with transaction.atomic():
        step.save(cursor=history.noted(step, history.span_of(deliver())))


def roll_up_days(step: Claim) -> None:
    """Every day that the computed differences touch, with those that a run before us left behind."""
    history.close_collection(step, now=clock.now())
    with transaction.atomic():
        changes = history.changes(step.run_id)
        span = history.to_roll_up(step, changes)
        rows = roll_up(first=span.first, last=span.last, history_from=history.start())
        history.forget(changes)
        step.save(rows=rows, cursor=span.as_cursor())


def export_days(step: Claim) -> None:
    """Complete days only: today's values are provisional and are shown, not published."""
    artifacts.write_days(
        history.to_export(step),
        directory=settings.TEM_EXPORT_DIR,
        run=Run.objects.get(pk=step.run_id),
        step=step,
        now=clock.now(),
    )


def compare_facts(step: Claim) -> dict[str, Any]:
    """A twentieth of the projects from scratch, beside what stands."""
    yesterday = dt.date.fromisoformat(step.parameters["today"]) - dt.timedelta(days=1)
    seed = Run.objects.get(pk=step.run_id).slot
    found = check_drift(run_id=step.run_id, seed=seed, day=yesterday, now=clock.now())
    return {"differences": found}


def ask_again(step: Claim) -> dict[str, Any]:
    """What we hold beside what GitLab says by another route."""
    client, seed = Client.from_settings(), Run.objects.get(pk=step.run_id).slot
    found = parity.check_parity(run_id=step.run_id, seed=seed, client=client, now=clock.now())
    step.save(requests=client.requests)
    return {"agreeing": found.agreeing, "checks": found.checks} if found else {}


def check(step: Claim) -> dict[str, Any]:
    """What the run can say about itself at its end."""
    seen, settled = discover.coverage(now=clock.now()), parity.settle()
    findings = quality.findings(history.findings_before(step))
    state = quality.quality().state
    told = {"quality": state, "settled": settled, "findings": findings}
    return {"active": seen.active, "included": seen.included, **told}


# --- the tasks: doors. A hint for one step of the ledger ------------------------------------------

SHORT = {"acks_late": True, "reject_on_worker_lost": True}
LONG = {**SHORT, "soft_time_limit": 1500, "time_limit": 1620}  # below the broker's visibility timeout
TIMER_S = 5.0


@shared_task(name="tem.pipeline.discover", **SHORT)
def discover_task(*, run_id: int, step_id: int) -> None:
    take(step_id, discover_all)


@shared_task(name="tem.pipeline.place", **SHORT)
def place_task(*, run_id: int, step_id: int) -> None:
    take(step_id, place_projects)


@shared_task(name="tem.pipeline.sweep", **SHORT)
def sweep_task(*, run_id: int, step_id: int) -> None:
    take(step_id, sweep_groups)


@shared_task(name="tem.pipeline.collect", **SHORT)
def collect_task(*, run_id: int, step_id: int) -> None:
    take(step_id, collect_one)


@shared_task(name="tem.pipeline.compute", **LONG)
def compute_task(*, run_id: int, step_id: int) -> None:
    take(step_id, compute_one)


@shared_task(name="tem.pipeline.link", **LONG)
def link_task(*, run_id: int, step_id: int) -> None:
    take(step_id, link_people)


@shared_task(name="tem.pipeline.deliver", **LONG)
def deliver_task(*, run_id: int, step_id: int) -> None:
    take(step_id, deliver_issues)


@shared_task(name="tem.pipeline.roll_up", **LONG)
def roll_up_task(*, run_id: int, step_id: int) -> None:
    take(step_id, roll_up_days)


@shared_task(name="tem.pipeline.drift", **LONG)
def drift_task(*, run_id: int, step_id: int) -> None:
    take(step_id, compare_facts)


@shared_task(name="tem.pipeline.parity", **LONG)
def parity_task(*, run_id: int, step_id: int) -> None:
    take(step_id, ask_again)


@shared_task(name="tem.pipeline.export", **LONG)
def export_task(*, run_id: int, step_id: int) -> None:
    take(step_id, export_days)


@shared_task(name="tem.pipeline.check", **SHORT)
def check_task(*, run_id: int, step_id: int) -> None:
    take(step_id, check)


DOORS = {
    "discover": Door(discover_task, queue="collect"),
    "place": Door(place_task, queue="compute"),
    "sweep": Door(sweep_task, queue="collect"),
    "collect": Door(collect_task, queue="collect"),
    "compute": Door(compute_task, queue="compute"),
    "link": Door(link_task, queue="compute"),
    "deliver": Door(deliver_task, queue="compute"),
    "roll_up": Door(roll_up_task, queue="compute"),
    "drift": Door(drift_task, queue="compute"),
    "parity": Door(parity_task, queue="collect"),
    "export": Door(export_task, queue="export"),
    "check": Door(check_task, queue="ops"),
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

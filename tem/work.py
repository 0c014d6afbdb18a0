"""The work of each phase: one call into a room, and what the ledger should remember of it.

A step's work is told its claim, and answers the cursor to keep with the finished step (None: what was saved
stands). Knows no SQL and no HTTP.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

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
from apps.runs.ledger import Claim
from apps.runs.models import Run
from tem import clock, history


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

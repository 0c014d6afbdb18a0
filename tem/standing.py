"""How the installation stands, as `/status` tells it: runs, steps, collection, queues, slots, versions."""

from __future__ import annotations

import datetime as dt
import platform
from collections import Counter
from importlib.metadata import version
from typing import Any

from celery import current_app
from django.db import connection
from django.db.models import Count
from kombu.exceptions import OperationalError

from apps.collector import budget
from apps.collector import standing as collecting
from apps.collector.discover import coverage
from apps.collector.models import Server
from apps.collector.server import Abilities
from apps.metrics.quality import quality
from apps.runs import alerts, progress, slots
from apps.runs.models import Run, RunStep
from tem import deadline, hints, history, hooks, notify, pipeline, probes
from tem.celery import QUEUES

PARTS = ("Django", "celery", "python-gitlab")


def status(*, now: dt.datetime, with_names: bool) -> dict[str, Any]:
    """The whole of it, ready for JSON. Instants are UTC. `with_names`: also project paths and reasons."""
    return {
        "now": instant(now),
        "runs": last_runs(now=now, with_names=with_names),
        "steps": steps(now=now),
        "coverage": coverage_json(now=now, with_names=with_names),
        "data_quality": data_quality(with_names=with_names),
        "token": probes.gitlab() or "ok",
        "gitlab": gitlab(with_names=with_names),
        "requests": requests(with_names=with_names),
        "lag": {entity: lag_json(lag, now=now) for entity, lag in collecting.lags().items()},
        "quarantine": quarantine(),
        "webhooks": {"on": hooks.is_on(), "waiting": collecting.hints()},
        "history_from": str(history.start() or "") or None,
        "queues": queues(),
        "next": {rhythm.kind: next_slot(rhythm, now=now) for rhythm in slots.RHYTHMS},
        "alerts": alerts_json(now=now),
        "versions": versions(),
    }


def last_runs(*, now: dt.datetime, with_names: bool) -> dict[str, Any]:
    """The newest run of each kind, None where there was none."""
    newest = Run.objects.order_by("kind", "-id").distinct("kind")
    runs = {run.kind: run_json(run, now=now, with_names=with_names) for run in newest}
    return {kind: runs.get(kind) for kind in pipeline.PLANS}


def run_json(run: Run, *, now: dt.datetime, with_names: bool) -> dict[str, Any]:
    """One run: what was asked, how far it is, when it will probably be done, how it ended."""
    seen = progress.snapshot(run.pk, now=run.finished_at or run.requested_at)
    told = {
        "id": run.pk,
        "kind": run.kind,
        "state": run.state,
        "phase": run.phase,
        "first": run.parameters.get("first"),
        "last": run.parameters.get("last"),
        "requested_at": instant(run.requested_at),
        "finished_at": instant(run.finished_at),
        **expected_json(run, now=now),
        "rows": seen.rows,
        "requests": seen.requests,
        "phases": {
            phase.name: {"total": phase.total, "done": phase.done, "left_out": phase.left_out}
            for phase in seen.phases
        },
    }
    return {**told, "reason": run.reason} if with_names else told


def expected_json(run: Run, *, now: dt.datetime) -> dict[str, Any]:
    """When a run under way will probably be done, and whether that is after the deadline it has, if any."""
    found = deadline.expected(run, now=now)
    due_by = deadline.of(run)
    return {
        "expected_end": instant(found.expected) if found else None,
        "expected_between": [instant(found.earliest), instant(found.latest)] if found else None,
        "deadline": instant(due_by),
        "late": deadline.is_late(run, found, now=now),
    }


def next_slot(rhythm: slots.Rhythm, *, now: dt.datetime) -> str | None:
    """When a kind is due next; None where its schedule is switched off."""
    slot = rhythm.next(now)
    return instant(slot.at) if slot else None


def alerts_json(*, now: dt.datetime) -> dict[str, int]:
    """How many channels there are, and how many alerts of the last day somebody has not got yet."""
    return {"channels": len(notify.channels()), "unsent": alerts.waiting(now=now)}


def steps(*, now: dt.datetime) -> dict[str, Any]:
    """Steps of the runs under way by state, and for how many seconds the oldest has waited to be taken."""
    active = RunStep.objects.filter(run__state=Run.State.ACTIVE)
    states = dict(active.order_by().values_list("state").annotate(count=Count("id")))
    oldest = active.filter(state=RunStep.State.PENDING, hinted_at__isnull=False).order_by("hinted_at").first()
    waited = max(0, round((now - oldest.hinted_at).total_seconds())) if oldest and oldest.hinted_at else None
    return {**{state: states.get(state, 0) for state in RunStep.State.values}, "oldest_pending_s": waited}


def coverage_json(*, now: dt.datetime, with_names: bool) -> dict[str, Any]:
    """Which share of the active projects is collected, and why the others are not."""
    seen = coverage(now=now)
    told: dict[str, Any] = {
        "ratio": None if seen.ratio is None else round(float(seen.ratio), 4),
        "active": seen.active,
        "included": seen.included,
        "excluded": dict(Counter(str(reason) for _, reason in seen.excluded)),
    }
    if with_names:
        told["excluded_projects"] = [{"repo": path, "reason": str(reason)} for path, reason in seen.excluded]
    return told


def data_quality(*, with_names: bool) -> dict[str, Any]:
    """Green, red or unknown, and why; what was found names projects, so only `with_names`."""
    found = quality()
    told: dict[str, Any] = found.as_json()
    if found.parity:
        told |= {"interval": found.parity.interval, "checks": found.parity.checks}
    told["incidents"] = [
        {"id": one.pk, "kind": one.kind, "opened_at": instant(one.opened_at)}
        | ({"what": one.what, "owner": one.owner} if with_names else {})
        for one in found.incidents
    ]
    last = RunStep.objects.filter(phase="check", cursor__has_key="findings").order_by("-run_id").first()
    told["findings"] = last.cursor["findings"] if last else None
    return told


def gitlab(*, with_names: bool) -> dict[str, Any] | None:
    """What the last probe found; None before the first. GitLab's own words only `with_names`."""
    server = Server.objects.order_by("-probed_at").first()
    if server is None:
        return None
    return {
        "version": server.version,
        "enterprise": server.enterprise,
        "tier": Abilities(server).tier,
        "probed_at": instant(server.probed_at),
        "routes": {
            entity: {way: (why if with_names else "closed") if why else "open" for way, why in ways.items()}
            for entity, ways in collecting.routes(server).items()
        },
    }


def requests(*, with_names: bool) -> dict[str, Any]:
    """How GitLab's budget stands; a minute for what is used, an hour for what was refused or had to wait."""
    seen = budget.standing()
    told = {
        "used": seen.used,
        "limit": seen.limit,
        "refused_429": seen.refusals,
        "waits": seen.waits,
        "waited_s": round(seen.waited_s, 1),
        "paused_s": round(seen.paused_s, 1),
        "breaker": seen.breaker,
        "is_shared": seen.is_shared,
    }
    return {**told, "cause": seen.cause} if with_names else told


def lag_json(lag: collecting.Lag, *, now: dt.datetime) -> dict[str, Any]:
    """The oldest watermark, how long ago that is, and how many projects were never read to the end."""
    late_s = None if lag.oldest is None else max(0, round((now - lag.oldest).total_seconds()))
    return {"oldest": instant(lag.oldest), "lag_s": late_s, "unread": lag.unread}


def quarantine() -> dict[str, Any]:
    """How many rows could not be read, by table."""
    seen = collecting.quarantined()
    return {"rows": sum(seen.rows.values()), "by_table": seen.rows, "asked_again": seen.asked}


def queues() -> dict[str, int] | None:
    """Hints that wait, by queue; None while the broker is away."""
    try:
        with current_app.connection_for_read() as link:
            link.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            return {name: hints.waiting(name, link=link) for name in QUEUES}
    except (OperationalError, OSError):
        return None


def versions() -> dict[str, str]:
    """Of what runs here, and of GitLab and PostgreSQL as last seen."""
    server = Server.objects.order_by("-probed_at").first()
    with connection.cursor() as sql:
        sql.execute("show server_version")
        database = sql.fetchone()[0]
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PARTS},
        "postgresql": database,
        "gitlab": server.version if server else "",
    }


def instant(at: dt.datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second."""
    return None if at is None else at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""What Prometheus reads at `/metrics`: the figures of `/status`, read from the ledger and the tables.

No process counts for itself, so it does not matter which one is asked. Names no project and no person, and
asks GitLab nothing. A figure that is not known is left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from apps.collector import budget
from apps.collector import standing as collecting
from apps.metrics.quality import quality
from apps.runs import alerts, progress, slots
from apps.runs.models import Run
from tem import clock, deadline, history, hooks, notify, standing

SAYS = {
    "run_state": "1 for the state of the newest run of a kind",
    "run_duration_seconds": "How long the newest run of a kind lasted, or has lasted",
    "run_started_timestamp_seconds": "When it was asked for",
    "run_finished_timestamp_seconds": "When it ended",
    "run_expected_end_timestamp_seconds": "When one under way will probably end",
    "run_deadline_timestamp_seconds": "When it is to be done",
    "run_late": "1 if it was done after its deadline, or probably will be",
    "run_rows": "Rows that it wrote",
    "run_requests": "Requests that it made",
    "run_rows_per_second": "Rows that it wrote a second",
    "steps": "Steps of the runs under way",
    "oldest_pending_step_seconds": "For how long a step that is due has waited for a worker",
    "queue_depth": "Hints to workers that wait",
    "next_slot_timestamp_seconds": "When a kind is due next",
    "gitlab_requests_used": "Requests of the last minute",
    "gitlab_requests_limit": "Requests a minute that GitLab allows, if it told",
    "gitlab_refused_429_last_hour": "Requests that GitLab refused for their number",
    "gitlab_breaker_open": "1 while GitLab counts as down",
    "limiter_waits_last_hour": "Requests that waited for the budget",
    "limiter_wait_seconds_last_hour": "How long they waited together",
    "limiter_paused_seconds": "Until the next request may leave",
    "limiter_shared": "1 while all workers share one budget in Redis",
    "lag_seconds": "Since the oldest project's entity was read to its end",
    "unread_projects": "Projects whose history of an entity is not read yet",
    "coverage_ratio": "Collected projects of the active ones",
    "active_projects": "Projects with a merge request in 90 days",
    "excluded_projects": "Active projects that are not collected",
    "quarantine_rows": "Rows that could not be read",
    "webhook_hints_waiting": "Lists that webhooks spoke of and nobody has read since",
    "data_quality": "1 for how it stands",
    "parity_ratio": "Checks that agreed with GitLab, of all",
    "open_incidents": "Data quality incidents that nobody has closed",
    "findings": "Findings after the newest run",
    "new_findings": "Findings that it brought",
    "alerts_unsent": "Alerts of the last day that a channel has not got",
    "alert_channels": "Channels that people are told by",
    "history_days": "Local days of history",
}
"""Every gauge and what it says; names begin with tem_."""


def gauge(name: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(f"tem_{name}", SAYS[name], value=value)


def by(label: str, name: str, values: Mapping[str, float | None]) -> Iterator[Metric]:
    """A gauge with one value for each value of a label."""
    found = GaugeMetricFamily(f"tem_{name}", SAYS[name], labels=[label])
    for key, value in values.items():
        if value is not None:
            found.add_metric([key], value)
    yield found


class Figures:
    """All of them, as they are now."""

    def collect(self) -> Iterable[Metric]:
        now = clock.now()
        for part in (runs, steps, gitlab, collection, trust, rest):
            yield from part(now)


def runs(now: dt.datetime) -> Iterator[Metric]:
    """The newest run of each kind; one under way lasts until now."""
    newest = {run.kind: run for run in Run.objects.order_by("kind", "-id").distinct("kind")}
    states = GaugeMetricFamily("tem_run_state", SAYS["run_state"], labels=["kind", "state"])
    for kind, run in newest.items():
        for state in Run.State.values:
            states.add_metric([kind, state], float(run.state == state))
    yield states
    told = {kind: _of_run(run, now=now) for kind, run in newest.items()}
    for name in sorted({name for one in told.values() for name in one}):
        yield from by("kind", f"run_{name}", {kind: one[name] for kind, one in told.items()})


def _of_run(run: Run, *, now: dt.datetime) -> dict[str, float | None]:
    seen, expected = progress.snapshot(run.pk, now=now), deadline.expected(run, now=now)
    lasted = ((run.finished_at or now) - run.requested_at).total_seconds()
    late = deadline.is_late(run, expected, now=now)
    return {
        "duration_seconds": lasted,
        "started_timestamp_seconds": _at(run.requested_at),
        "finished_timestamp_seconds": _at(run.finished_at),
        "expected_end_timestamp_seconds": _at(expected.expected) if expected else None,
        "deadline_timestamp_seconds": _at(deadline.of(run)),
        "late": None if late is None else float(late),
        "rows": seen.rows,
        "requests": seen.requests,
        "rows_per_second": seen.rows / max(1.0, lasted),
    }


def _at(instant: dt.datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def steps(now: dt.datetime) -> Iterator[Metric]:
    told = standing.steps(now=now)
    oldest = told.pop("oldest_pending_s")
    yield from by("state", "steps", told)
    yield from gauge("oldest_pending_step_seconds", oldest)
    yield from by("queue", "queue_depth", standing.queues() or {})
    due = {rhythm.kind: rhythm.next(now) for rhythm in slots.RHYTHMS}
    at = {kind: slot.at.timestamp() for kind, slot in due.items() if slot}
    yield from by("kind", "next_slot_timestamp_seconds", at)


def gitlab(now: dt.datetime) -> Iterator[Metric]:
    told = budget.standing()
    says = "Calls to GitLab by what came of them"
    calls = CounterMetricFamily("tem_gitlab_calls", says, labels=["outcome"])
    for outcome, count in sorted(told.calls.items()):
        calls.add_metric([outcome], count)
    yield calls
    yield from gauge("gitlab_requests_used", told.used)
    yield from gauge("gitlab_requests_limit", told.limit)
    yield from gauge("gitlab_refused_429_last_hour", told.refusals)
    yield from gauge("gitlab_breaker_open", float(told.breaker != "closed"))
    yield from gauge("limiter_waits_last_hour", told.waits)
    yield from gauge("limiter_wait_seconds_last_hour", told.waited_s)
    yield from gauge("limiter_paused_seconds", told.paused_s)
    yield from gauge("limiter_shared", float(told.is_shared))


def collection(now: dt.datetime) -> Iterator[Metric]:
    lags = {entity: standing.lag_json(lag, now=now) for entity, lag in collecting.lags().items()}
    yield from by("entity", "lag_seconds", {entity: told["lag_s"] for entity, told in lags.items()})
    yield from by("entity", "unread_projects", {entity: told["unread"] for entity, told in lags.items()})
    seen = standing.coverage_json(now=now, with_names=False)
    yield from gauge("coverage_ratio", seen["ratio"])
    yield from gauge("active_projects", seen["active"])
    yield from by("reason", "excluded_projects", seen["excluded"])
    yield from by("table", "quarantine_rows", collecting.quarantined().rows)
    yield from gauge("webhook_hints_waiting", collecting.hints() if hooks.is_on() else None)


def trust(now: dt.datetime) -> Iterator[Metric]:
    """Whether the numbers are to be trusted."""
    found = quality()
    states = ("green", "red", "unknown")
    yield from by("state", "data_quality", {state: float(found.state == state) for state in states})
    yield from gauge("parity_ratio", found.parity.ratio if found.parity else None)
    yield from gauge("open_incidents", len(found.incidents))
    findings = standing.data_quality(with_names=False)["findings"] or {"all": {}, "new": {}}
    yield from by("kind", "findings", findings["all"])
    yield from by("kind", "new_findings", findings["new"])


def rest(now: dt.datetime) -> Iterator[Metric]:
    yield from gauge("alerts_unsent", alerts.waiting(now=now))
    yield from gauge("alert_channels", len(notify.channels()))
    known = history.start()
    yield from gauge("history_days", (clock.day_of(now) - known).days if known else None)
    versions = standing.versions()
    info = GaugeMetricFamily("tem_info", "What runs here", labels=list(versions))
    info.add_metric(list(versions.values()), 1)
    yield info


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """In the format that the asker accepts; needs no sign-in, as `/status` without names."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=kind)

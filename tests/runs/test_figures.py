"""`/metrics`, and the dashboard and alerts that are made of it."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.test import Client as Browser
from prometheus_client.parser import text_string_to_metric_families

from apps.collector.models import Exclusion, IngestionState, Project, Quarantine, Server
from apps.metrics.models import Finding
from apps.runs.models import Run, RunStep
from apps.runs.slots import NIGHTLY
from tem import clock
from tem.figures import SAYS

CHARTS = Path(settings.BASE_DIR) / "charts"
DASHBOARD, ALERTS = CHARTS / "grafana" / "tem.json", CHARTS / "prometheus" / "alerts.yml"

GAUGES = {f"tem_{name}" for name in SAYS}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(browser: Browser) -> Samples:
    answer = browser.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
def busy(db) -> Run:
    """An installation in the middle of a nightly, with something of everything."""
    now, hour = clock.now(), dt.timedelta(hours=1)
    Server.objects.create(url="https://gitlab.example", history_since=now - 99 * hour, probed_at=now)
    path = {"path_with_namespace": "toman/secret-plans", "in_scope": True, "active_flag": True}
    for project in (7, 8):
        Project.objects.create(project_id=project, fetched_at=now, **path)
    Exclusion.objects.create(project_id=8, reason="no_access", detail="x", since=now)
    IngestionState.objects.create(
        level="project", level_id=7, entity="pipelines", last_seen_updated_at=now - 2 * hour, history_from=now
    )
    Quarantine.objects.create(entity="raw_job", payload_hash="0", project_id=7, first_seen_at=now)
    Finding.objects.create(project_id=7, kind="future_mr", entity="raw_mr", entity_id="1")
    told = {"requested_at": now - 25 * hour, "finished_at": now - 24 * hour}
    before = Run.objects.create(kind="nightly", slot="1", state="done", **told)
    counts = {"findings": {"all": {"future_mr": 1}, "new": {"future_mr": 1}}}
    for minutes, phase in ((10, "discover"), (30, "collect"), (50, "export"), (60, "check")):
        at = now - 25 * hour + dt.timedelta(minutes=minutes)
        cursor = counts if phase == "check" else {}
        RunStep.objects.create(run=before, phase=phase, state="done", finished_at=at, cursor=cursor)
    asked = {"phase": "collect", "requested_at": now - hour / 60}
    run = Run.objects.create(kind="nightly", slot=NIGHTLY.last(now).name, **asked)
    waits = {"project_id": 7, "hinted_at": now - hour / 60}
    RunStep.objects.create(run=run, phase="collect", rows=600, requests=30, **waits)
    return run


def test_what_is_so_is_what_is_read(client, busy, broker) -> None:
    seen = read(client)
    assert of(seen, "tem_run_state", kind="nightly", state="active") == 1
    assert of(seen, "tem_run_rows", kind="nightly") == 600
    assert 9 < of(seen, "tem_run_rows_per_second", kind="nightly") <= 10
    assert 60 <= of(seen, "tem_run_duration_seconds", kind="nightly") < 90
    assert of(seen, "tem_run_expected_end_timestamp_seconds", kind="nightly") > clock.now().timestamp()
    assert 60 <= of(seen, "tem_oldest_pending_step_seconds") < 90
    assert 7200 <= of(seen, "tem_lag_seconds", entity="pipelines") < 7230
    assert of(seen, "tem_coverage_ratio") == 0.5
    assert of(seen, "tem_excluded_projects", reason="no_access") == 1
    assert of(seen, "tem_quarantine_rows", table="raw_job") == 1
    assert of(seen, "tem_findings", kind="future_mr") == of(seen, "tem_new_findings", kind="future_mr") == 1
    assert of(seen, "tem_queue_depth", queue="collect") == 0


def test_nobody_reads_a_name_there(client, busy, broker) -> None:
    text = client.get("/metrics").content.decode()
    assert "toman" not in text and "gitlab.example" not in text


def test_an_empty_installation_without_a_broker_has_figures_too(client, db) -> None:
    seen = read(client)
    assert of(seen, "tem_alerts_unsent") == 0
    assert of(seen, "tem_coverage_ratio") is None


def families(client) -> set[str]:
    return {name for name, _ in read(client)}


def expressions(told: object) -> list[str]:
    """Every PromQL expression in a dashboard or in rules, wherever it stands."""
    if isinstance(told, dict):
        own = [told["expr"]] if isinstance(told.get("expr"), str) else []
        return own + [one for value in told.values() for one in expressions(value)]
    return [one for value in told for one in expressions(value)] if isinstance(told, list) else []


def test_the_dashboard_and_the_alerts_use_figures_that_there_are(client, busy, broker) -> None:
    told = [json.loads(DASHBOARD.read_text()), yaml.safe_load(ALERTS.read_text())]
    used = {name for one in told for text in expressions(one) for name in re.findall(r"\btem_\w+", text)}
    assert len(used) > 20 and used <= {*GAUGES, "tem_info", "tem_gitlab_calls_total"}
    unknown = {"tem_parity_ratio", "tem_gitlab_requests_limit", "tem_webhook_hints_waiting"}
    finished = {"tem_run_finished_timestamp_seconds"}
    assert GAUGES - families(client) == unknown | finished


def test_every_alert_names_a_page_that_says_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    pages = {rule["annotations"]["runbook_url"] for rule in rules}
    assert rules and all((Path(settings.BASE_DIR) / page).is_file() for page in pages)
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)

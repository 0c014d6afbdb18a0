"""Parity and drift: differences put in by hand are found, named, fetched again; red until a person closes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.db.models import F
from django.test import Client as Browser
from django.urls import reverse

from apps.collector.models import RawIssue, RawMergeRequest
from apps.exports import summaries
from apps.metrics import drift, parity, quality
from apps.metrics.models import FactMergeRequest, MetricDaily, ParitySample, PlacedProject, QualityIncident
from tem import clock
from tests.acceptance.demo_gitlab import DEMO_TOKEN, Demo
from tests.acceptance.running import run_through

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings) -> Iterator[Demo]:
    with Demo("--projects", "2", "--days", "14", "--pace", "0.3") as gitlab:
        settings.GITLAB_URL, settings.GITLAB_TOKEN = gitlab.url, DEMO_TOKEN
        yield gitlab


def causes() -> set[str]:
    newest = ParitySample.objects.order_by("-run_id").first()
    return set(
        ParitySample.objects.filter(run_id=newest.run_id, agrees=False).values_list("cause", flat=True)
    )


def state(house: Browser) -> str:
    return house.get("/status").json()["data_quality"]["state"]


def test_red_until_a_person_closes_it(demo: Demo, house: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    run_through("backfill", days=10)
    assert state(house) == "unknown"
    run_through("parity")
    sound = quality.parity()
    assert (sound.ratio, state(house), causes()) == (1.0, "green", set())
    assert set(ParitySample.objects.values_list("entity", flat=True)) == set(parity.COUNTED)

    monkeypatch.setattr(parity, "SAMPLE", 1000)
    differ_by_hand()
    run_through("parity")
    assert causes() == {"bug", "time_zone", "deleted"}
    incident = QualityIncident.objects.get()
    assert (incident.kind, state(house)) == ("parity", "red")
    assert b"Data Quality Red" in house.get("/").content
    told = summaries.occasion(now=clock.now(), run=None).moment["data_quality"]
    assert told == {"state": "red", "parity": round(quality.parity().ratio, 4)}

    run_through("incremental")
    again = ParitySample.objects.filter(agrees=False)
    assert not again.filter(agrees_now=None).exists()
    assert set(again.filter(cause="time_zone").values_list("agrees_now", flat=True)) == {True}

    close_in_the_admin(incident, house, cause="")
    assert state(house) == "red"
    close_in_the_admin(incident, house, cause="a hand")
    incident.refresh_from_db()
    assert (incident.closed_by, state(house)) == ("admin", "green")
    drift_is_seen(house, monkeypatch)

    demo.later(days=2)
    run_through("parity")
    assert "late_update" in causes()
    demo.forbid(*PlacedProject.objects.values_list("pk", flat=True))
    run_through("parity")
    assert causes() == {"permission"}


def differ_by_hand() -> None:
    """A fault of ours, a shift of zone, a row that GitLab lost."""
    first, second, third, *_ = RawMergeRequest.objects.order_by("pk")
    lost = {field.attname: getattr(third, field.attname) for field in third._meta.concrete_fields}
    RawMergeRequest.objects.bulk_create([RawMergeRequest(**{**lost, "mr_id": 10**9, "iid": 10**6})])
    RawMergeRequest.objects.filter(pk=first.pk).update(title="not so", source_branch="nor so")
    RawMergeRequest.objects.filter(pk=second.pk).update(created_at=F("created_at") - dt.timedelta(hours=2))
    RawIssue.objects.filter(pk=RawIssue.objects.order_by("-updated_at").first().pk).delete()


def close_in_the_admin(incident: QualityIncident, house: Browser, *, cause: str) -> None:
    address = reverse("admin:metrics_qualityincident_change", args=[incident.pk])
    house.post(address, {"owner": "Sara", "cause": cause, "closing_note": "all well"})


def drift_is_seen(house: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing differs after a run; what a hand changed does, by fact and by metric."""
    monkeypatch.setattr(drift, "SHARE", 1)
    yesterday = clock.day_of(clock.now()) - dt.timedelta(days=1)
    asked = {"run_id": 99, "seed": "any", "day": yesterday, "now": clock.now()}
    assert drift.check_drift(**asked) == []
    FactMergeRequest.objects.update(force_pushes=77)
    MetricDaily.objects.filter(day=yesterday, scope__kind="repo").update(numerator=123, denominator=1)
    found = drift.check_drift(**asked)
    assert any(one.endswith(": fact_mr") for one in found)
    assert any(one.endswith(": pipeline_success_rate") for one in found)
    assert (QualityIncident.objects.get(closed_at=None).kind, state(house)) == ("drift", "red")

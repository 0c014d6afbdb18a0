"""Facts are a pure function of raw rows and rules: rebuilt, never patched, written only where they differ."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from apps.collector.models import Branch, RawIssue, RawMergeRequest, RawPipeline
from apps.metrics.facts import build
from apps.metrics.models import (
    FactCommit,
    FactDeployment,
    FactGitHygiene,
    FactMergeRequest,
    FactPipeline,
    FactRelease,
    Finding,
    MetricDaily,
    ParitySample,
    PlacedProject,
    QualityIncident,
    Scope,
)
from apps.metrics.tests import builders
from apps.metrics.tests.test_cases import computed
from apps.orgmap.place import OrgMap

NOT_BUILT = (MetricDaily, Scope, PlacedProject, ParitySample, QualityIncident)
BUILT = [m for m in apps.get_app_config("metrics").get_models() if m._meta.managed and m not in NOT_BUILT]
Content = dict[str, list[tuple[Any, ...]]]


def content() -> Content:
    """Every row that a build writes, without the keys that the database makes."""
    found = {}
    for model in BUILT:
        names = [f.attname for f in model._meta.concrete_fields if f.attname != "id"]
        found[model._meta.db_table] = sorted(model._default_manager.values_list(*names), key=repr)
    return found


def transactions() -> set[tuple[str, str]]:
    """By which transactions the rows that stand were written: another one would mean they were replaced."""
    with connection.cursor() as cursor:
        one_by_one = " union ".join(
            f"select '{m._meta.db_table}', xmin::text from {m._meta.db_table}" for m in BUILT
        )
        cursor.execute(f"{one_by_one} union select 'raw_mr', xmin::text from raw_mr")
        return set(cursor.fetchall())


@pytest.mark.django_db
def test_a_rebuild_that_changes_nothing_touches_no_row_not_even_settled_ones() -> None:
    builders.house()
    builders.mr(created="2025-09-01 10:00", merged="2025-09-02 10:00", approvals="1 of 1")
    builders.pipeline(created="2025-09-02 11:00")
    computed()
    with transaction.atomic():
        before = transactions()
        with transaction.atomic():  # a transaction of its own: what it wrote would carry its number
            build(1)
        assert transactions() == before


@pytest.mark.django_db
def test_a_pipeline_that_a_retry_turned_green_in_place_is_a_success_on_its_old_day() -> None:
    builders.house()
    number = builders.pipeline(created="2025-09-02 10:00", status="failed", finished="2025-09-02 11:00")
    builders.pipeline(created="2025-09-03 10:00", finished="2025-09-03 11:00")
    computed()
    assert FactPipeline.objects.get(pk=number).mtg_seconds == 24 * 3600
    RawPipeline.objects.filter(pk=number).update(
        status="success",
        finished_at=builders.moment("2025-09-05 09:00"),
        updated_at=builders.moment("2025-09-05 09:00"),
    )
    difference = build(1)
    flipped = FactPipeline.objects.get(pk=number)
    assert (flipped.status, flipped.mtg_ms, flipped.is_prod) == ("success", None, True)
    assert min(difference.days) == dt.date(2025, 9, 2)
    assert max(difference.days) == dt.date(2025, 9, 5)


@pytest.mark.django_db
def test_a_commit_that_is_pushed_away_leaves_the_mainline() -> None:
    builders.house()
    builders.branch(head="c2")
    builders.commit(sha="c1", committed="2025-09-01 10:00")
    builders.commit(sha="c2", committed="2025-09-02 10:00", parents=["c1"])
    builders.commit(sha="c3", committed="2025-09-03 10:00", parents=["c1"])
    computed()
    assert set(FactCommit.objects.values_list("commit_id", "position")) == {("c1", 1), ("c2", 2)}
    Branch.objects.update(head_sha="c3")
    build(1)
    assert set(FactCommit.objects.values_list("commit_id", "position")) == {("c1", 1), ("c3", 2)}


@pytest.mark.django_db
def test_the_columns_that_the_raw_tables_owe_to_the_facts_are_settled() -> None:
    builders.house()
    mr = builders.mr(
        created="2025-09-01 10:00",
        merged="2025-09-02 10:00",
        approvals="1 of 2",
        reviews=[(2, "2025-09-01 11:00")],
    )
    open_mr = builders.mr(created="2025-09-01 10:00", approvals="1 of unknown")
    pipeline = builders.pipeline(created="2025-09-02 10:00")
    builders.deployment(pipeline=pipeline, environment="staging", finished="2025-09-02 11:00")
    builders.deployment(pipeline=pipeline, environment="production", finished="2025-09-02 12:00")
    staged = builders.pipeline(created="2025-09-02 10:00")
    builders.deployment(pipeline=staged, environment="staging", finished="2025-09-02 11:00")
    builders.issue(
        created="2025-09-01 10:00",
        events=[
            ("closed", "2025-09-02 10:00"),
            ("reopened", "2025-09-03 10:00"),
            ("closed", "2025-09-04 10:00"),
        ],
    )
    computed()
    settled = RawMergeRequest.objects.get(pk=mr)
    assert (settled.approvals_given, settled.approvals_required) == (1, 2)
    assert settled.first_review_at == builders.moment("2025-09-01 11:00")
    settled = RawMergeRequest.objects.get(pk=open_mr)
    assert (settled.approvals_given, settled.approvals_required) == (1, None)
    assert RawPipeline.objects.get(pk=pipeline).environment == "production"
    assert RawPipeline.objects.get(pk=staged).environment == "staging"
    assert RawIssue.objects.get().reopened_count == 1


@pytest.mark.django_db
def test_the_columns_that_the_product_was_asked_for() -> None:
    builders.house()
    mr = builders.mr(
        created="2025-09-01 10:00", merged="2025-09-02 10:00", commits=["2025-09-01 09:40"],
        reviews=[(2, "2025-09-01 11:30")], lines_added=12, lines_removed=3,
    )  # fmt: skip
    builders.tag(name="v1.2.3", committed="2025-09-05 10:00")
    builders.commit(sha="c1", committed="2025-09-05 23:30", is_signed=False)
    builders.commit(sha="c2", committed="2025-09-06 00:30", parents=["c1"], is_signed=False)
    builders.commit(sha="c3", committed="2025-09-06 09:30", parents=["c2"])
    builders.branch(head="c3")
    computed()
    fact = FactMergeRequest.objects.get(pk=mr)
    assert (fact.cycle_time_hours, fact.review_wait_hours) == (Decimal("24.3333"), Decimal("1.5"))
    assert (fact.lines_added, fact.lines_removed) == (12, 3)
    release = FactRelease.objects.get()
    assert (release.is_semver, release.cadence_bucket) == (True, "2025-W36")
    days = FactGitHygiene.objects.order_by("day").values_list(
        "day", "direct_pushes_default", "unsigned_commit_count"
    )
    assert list(days) == [(dt.date(2025, 9, 5), 1, 1), (dt.date(2025, 9, 6), 2, None)]


@pytest.mark.django_db
def test_a_deployment_keeps_what_made_it_one() -> None:
    builders.house(rules={"repos": {"toman/exchange/trading/engine": {"production": {"infer": "any"}}}})
    builders.tag(name="v1", committed="2025-09-01 09:00", sha="a")
    builders.pipeline(id=7001, created="2025-09-01 10:00", sha="a")
    builders.pipeline(id=7002, created="2025-09-02 10:00", sha="b")
    builders.deployment(pipeline=7002, finished="2025-09-02 11:00", sha="b")
    computed()
    kept = FactDeployment.objects.order_by("at").values_list("deployment_key", "signal", "environment", "sha")
    assert list(kept) == [
        ("pipeline:7001", "release_tag+default_branch", None, "a"),
        ("pipeline:7002:1", "environment+default_branch", "production", "b"),
    ]
    assert set(FactDeployment.objects.values_list("rules_version", flat=True)) == {OrgMap.load().version}


@pytest.mark.django_db
def test_durations_that_cannot_be_are_findings() -> None:
    builders.house()
    negative = builders.mr(
        created="2025-09-01 10:00", merged="2025-09-02 10:00", commits=["2025-09-03 10:00"]
    )
    zero = builders.mr(created="2025-09-01 10:00", merged="2025-09-02 10:00", commits=["2025-09-02 10:00"])
    failed = builders.pipeline(created="2025-09-01 10:00", status="failed", finished="2025-09-01 15:00")
    builders.pipeline(created="2025-09-01 11:00", finished="2025-09-01 12:00")
    computed()
    assert set(Finding.objects.values_list("kind", "entity", "entity_id", "detail")) == {
        ("negative_cycle_time", "mr", str(negative), "-86400000 ms"),
        ("zero_cycle_time", "mr", str(zero), "0 ms"),
        ("negative_time_to_green", "pipeline", str(failed), "-10800000 ms"),
    }
    RawMergeRequest.objects.filter(pk=negative).delete()
    build(1)
    assert not Finding.objects.filter(entity_id=negative, entity="mr").exists()
    assert not FactMergeRequest.objects.filter(pk=negative).exists()


@pytest.mark.django_db
def test_a_project_that_is_placed_nowhere_has_no_facts() -> None:
    builders.house()
    assert build(404).rows == 0

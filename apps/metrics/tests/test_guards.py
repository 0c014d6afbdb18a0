"""What cannot be true is told by entity, and what is not measured is told with its reason."""

from __future__ import annotations

import datetime as dt

import pytest

from apps.collector.models import RawIssue, RawMergeRequest
from apps.metrics.evidence import evidence
from apps.metrics.models import Finding
from apps.metrics.tests import builders
from apps.metrics.tests.test_facts import computed

DAY = dt.date(2025, 9, 3)


def reasons(metric: str) -> set[tuple[str, str]]:
    return {(one.entity_id, one.reason) for one in evidence(metric, "org", DAY).left_out}


@pytest.mark.django_db
def test_merges_and_closings_before_the_creation_are_findings() -> None:
    builders.house()
    merged = builders.mr(created="2025-09-02 10:00", merged="2025-09-01 10:00")
    closed = builders.mr(created="2025-09-02 10:00", closed="2025-09-02 09:00")
    builders.mr(created="2025-09-02 10:00", merged="2025-09-02 11:00")
    computed()
    found = Finding.objects.filter(kind="negative_merge_request_life")
    assert set(found.values_list("entity_id", "detail")) == {
        (str(merged), "-86400000 ms"),
        (str(closed), "-3600000 ms"),
    }
    RawMergeRequest.objects.filter(pk=merged).update(created_at="2025-09-01T07:00Z")
    computed()
    assert set(found.values_list("entity_id", flat=True)) == {str(closed)}


@pytest.mark.django_db
def test_a_lead_time_that_cannot_be_is_a_finding_until_it_is_mended() -> None:
    builders.house(rules={"default": {"production": {"infer": "any", "signals": ["default_branch"]}}})
    builders.commit(sha="a", committed="2025-09-01 10:00")
    builders.branch(head="a")
    builders.pipeline(sha="a", created="2025-09-01 11:00", finished="2025-09-01 12:00")
    merged = builders.mr(created="2025-09-01 09:00", merged="2025-09-01 10:00", merge_commit_sha="a")
    builders.issue(iid=5, created="2025-09-01 13:00")
    builders.closes(merged, issue=5)
    computed()
    told = Finding.objects.filter(kind="negative_lead_time").values_list("entity", "detail")
    assert list(told) == [("issue", "-3600000 ms")]
    RawIssue.objects.update(created_at="2025-09-01T10:30Z")
    computed()
    assert list(told.all()) == [("issue", "-1800000 ms")]
    RawIssue.objects.update(created_at="2025-09-01T07:00Z")
    computed()
    assert list(told.all()) == []


@pytest.mark.django_db
def test_what_is_said_to_have_happened_after_we_had_it_is_a_finding() -> None:
    builders.house()
    builders.commit(sha="a", committed="2025-09-01 10:00")
    builders.commit(sha="b", committed="2031-09-01 10:00", parents=["a"])
    builders.branch(head="b")
    merged = builders.mr(created="2025-09-02 10:00", merged="2031-09-02 10:00")
    pipeline = builders.pipeline(created="2031-09-03 10:00")
    builders.issue(iid=5, created="2031-09-04 10:00")
    computed()
    found = Finding.objects.filter(kind__startswith="future_")
    issue = RawIssue.objects.get().pk
    assert set(found.values_list("kind", "entity", "entity_id", "detail")) == {
        ("future_commit", "commit", "b", "2031-09-01T08:00:00Z"),
        ("future_mr", "mr", str(merged), "2031-09-02T08:00:00Z"),
        ("future_pipeline", "pipeline", str(pipeline), "2031-09-03T08:00:00Z"),
        ("future_issue", "issue", str(issue), "2031-09-04T08:00:00Z"),
    }


@pytest.mark.django_db
def test_what_nobody_knows_is_left_out_by_name() -> None:
    builders.house()
    unread = builders.mr(
        created="2025-09-01 10:00", merged="2025-09-02 10:00", events=[["commit", "2025-09-01 12:00"]]
    )
    builders.mr(created="2025-09-01 10:00", merged="2025-09-02 11:00")
    at_once = builders.mr(created="2025-09-02 10:00", merged="2025-09-02 10:00")
    builders.commit(sha="a", committed="2025-09-01 10:00", is_signed=None)
    builders.commit(sha="b", committed="2025-09-01 11:00", parents=["a"], is_signed=True)
    builders.branch(head="b")
    computed()
    assert reasons("rework_rate") == {(str(unread), "versions_unknown")}
    assert reasons("signed_commit_ratio") == {("a", "signature_unknown")}
    assert reasons("branch_ttl_p50_h") == {(str(at_once), "zero_branch_ttl")}

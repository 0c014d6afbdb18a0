"""A what-if is what a recompute under the candidate rules would store, without storing anything."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from pydantic import ValidationError

from apps.metrics.models import MetricDaily, Scope
from apps.metrics.placement import place_all
from apps.metrics.registry import METRICS
from apps.metrics.rollup import roll_up
from apps.metrics.tests import builders
from apps.metrics.tests.test_cases import HISTORY, ONE_REPO, computed
from apps.metrics.tests.test_oracle import AUTUMN, grown, told
from apps.metrics.tests.test_oracle import computed as compute_all
from apps.metrics.whatif import what_if
from apps.orgmap.models import RuleChange
from apps.orgmap.place import OrgMap

pytestmark = pytest.mark.django_db
DAY = dt.date(2025, 9, 4)
TWO = {1: "toman/exchange/trading/engine", 2: "toman/exchange/custody/vault"}
DEPLOYMENTS = ["deployment_frequency_wk", "rollback_incidence"]
DEFAULT = ("default", "")


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row that we made, by table; temporary tables would stand before the real ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name from information_schema.tables where table_schema = current_schema()"
            " and table_name similar to '(fact|link|dim|metric|placed|name|finding)%%'"
        )
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'select t::text from "{table}" t order by 1')
            found[table] = cursor.fetchall()
        return found


@pytest.fixture
def deployed() -> None:
    """A repo that went back to an older commit 30 hours after it had deployed a newer one; and another."""
    builders.house(paths=TWO)
    for sha, parents in (("c1", []), ("c2", ["c1"])):
        builders.commit(sha=sha, parents=parents, committed="2025-09-01 09:00")
    builders.branch(head="c2")
    older = builders.pipeline(created="2025-09-01 10:00", sha="c1")
    newer = builders.pipeline(created="2025-09-02 10:00", sha="c2")
    builders.deployment(pipeline=newer, sha="c2", finished="2025-09-02 10:00")
    builders.deployment(pipeline=older, sha="c1", finished="2025-09-03 16:00")
    builders.pipeline(created="2025-09-02 10:00", project=2)
    computed()


def test_the_values_are_told_before_and_after(deployed: None) -> None:
    found = what_if(
        {DEFAULT: {"rollback_within_hours": 48}}, metrics=["rollback_incidence"], scopes=["org", ONE_REPO],
        first=DAY, last=DAY,
    )  # fmt: skip
    assert found.affected == sorted(TWO.values())
    told_ = {
        v.scope: [(one.value.numerator, one.value.n) for one in (v.before, v.after)] for v in found.values
    }
    assert told_ == {"org": [(0, 3), (1, 3)], ONE_REPO: [(0, 2), (1, 2)]}


def test_so_are_the_entities_that_change_class_with_their_signals(deployed: None) -> None:
    found = what_if(
        {DEFAULT: {"rollback_within_hours": 48}}, metrics=["rollback_incidence"], scopes=["org"],
        first=DAY, last=DAY,
    )  # fmt: skip
    (one,) = found.changed
    assert (one.project, one.before, one.after) == (TWO[1], 0, 1)
    assert (one.signal_before, one.signal_after) == ("environment", "environment, rollback older")


def test_an_entity_that_only_another_signal_makes_is_told_too(deployed: None) -> None:
    other = {("repo", TWO[2]): {"production_infer": "any", "production_signals": ["default_branch"]}}
    found = what_if(other, metrics=["deployment_frequency_wk"], scopes=["org"], first=DAY, last=DAY)
    assert (found.affected, found.changed) == ([TWO[2]], [])
    other = {("repo", TWO[2]): {"production_infer": "any", "production_signals": ["release_tag"]}}
    found = what_if(other, metrics=["deployment_frequency_wk"], scopes=["org"], first=DAY, last=DAY)
    (one,) = found.changed
    assert (one.before, one.after, one.signal_before, one.signal_after) == (1, None, "default_branch", None)
    assert [(v.before.value.n, v.after.value.n) for v in found.values] == [(3, 2)]


def test_nothing_is_stored(deployed: None) -> None:
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    before = everything()
    assert before["fact_deployment"]
    what_if({DEFAULT: {"production_infer": "any", "rollback_within_hours": 48, "approvals_minimum": 1}},
            metrics=[m.key for m in METRICS], scopes=["org"], first=DAY, last=DAY)  # fmt: skip
    assert everything() == before


def test_rules_that_are_in_force_already_affect_nothing(deployed: None) -> None:
    found = what_if({DEFAULT: {"rollback_within_hours": 24}}, metrics=DEPLOYMENTS, scopes=["org"],
                    first=DAY, last=DAY)  # fmt: skip
    assert (found.affected, found.changed) == ([], [])
    assert all(value.before == value.after for value in found.values)


def test_questions_that_have_no_answer(deployed: None) -> None:
    asked: dict[str, Any] = {"metrics": DEPLOYMENTS, "scopes": ["org"], "first": DAY, "last": DAY}
    with pytest.raises(ValidationError):
        what_if({DEFAULT: {"rollback_within_hours": -1}}, **asked)
    with pytest.raises(ValidationError):
        what_if({DEFAULT: {"no_such_rule": 1}}, **asked)
    with pytest.raises(KeyError, match="no_such_metric"):
        what_if({}, **{**asked, "metrics": ["no_such_metric"]})
    with pytest.raises(Scope.DoesNotExist):
        what_if({}, **{**asked, "scopes": ["team:Nobody"]})


def test_it_tells_what_a_recompute_under_those_rules_stores() -> None:
    overrides: dict[str, Any] = {
        "production_infer": "any",
        "production_signals": ["default_branch"],
        "rollback_within_hours": 48,
        "approvals_minimum": 2,
        "rework_force_pushes": 0,
        "bugs_escape_days": 3,
    }
    told(grown(3, change=AUTUMN))
    compute_all()
    scopes = list(Scope.objects.values_list("key", flat=True))
    asked: dict[str, Any] = {"metrics": [m.key for m in METRICS], "scopes": scopes}
    first, last = AUTUMN - dt.timedelta(days=1), AUTUMN + dt.timedelta(days=1)
    expected = what_if({DEFAULT: overrides}, **asked, first=first, last=last)
    for rule, value in overrides.items():
        RuleChange.objects.create(
            level="default", rule=rule, value=value, changed_at=builders.LONG_AGO, changed_by="test"
        )
    place_all(org=OrgMap.load())
    compute_all()
    roll_up(first=first, last=last, history_from=dt.date(2024, 1, 1))
    rows = MetricDaily.objects.values_list("metric", "scope__key", "day", "numerator", "n", "reason")
    found = {
        (v.metric, v.scope, v.day, v.after.value.numerator, v.after.value.n, v.after.reason)
        for v in expected.values
    }
    assert found == set(rows)
    assert any(value.before != value.after for value in expected.values)


def test_an_issue_goes_out_with_another_deployment() -> None:
    builders.house()
    builders.commit(sha="c1", committed="2025-09-01 09:00")
    builders.branch(head="c1")
    builders.issue(created="2025-09-01 08:00", iid=77)
    number = builders.mr(created="2025-09-01 08:30", merged="2025-09-01 09:00", merge_commit_sha="c1")
    builders.closes(number, issue=77)
    builders.pipeline(created="2025-09-01 10:00", finished="2025-09-01 10:00", sha="c1")
    builders.tag(name="v1", committed="2025-09-02 09:00", sha="c1")
    builders.pipeline(created="2025-09-02 10:00", finished="2025-09-02 10:00", sha="c1", ref="v1")
    computed()
    only = {"production_infer": "any", "production_signals": ["release_tag"]}
    found = what_if({DEFAULT: only}, metrics=["lead_time_p50_h"], scopes=["org"], first=DAY, last=DAY)
    hour = 10 * 3_600_000
    assert [(v.before.value.numerator, v.after.value.numerator) for v in found.values] == [
        (2 * hour, 26 * hour)
    ]
    assert [(one.entity_id, one.before, one.after) for one in found.changed] == [
        ("77", 2 * 3_600_000, 26 * 3_600_000)
    ]

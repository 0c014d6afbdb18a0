"""Which values stand: all of them, each once, with a reason where there is none, however they were folded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from apps.collector.models import Exclusion, IngestionState, Project
from apps.metrics.models import MetricDaily, Scope
from apps.metrics.registry import METRICS, by_key
from apps.metrics.rollup import roll_up, values_of
from apps.metrics.tests import builders
from apps.metrics.tests.test_cases import HISTORY, computed
from apps.metrics.tests.test_oracle import AUTUMN, grown, told
from apps.metrics.tests.test_oracle import computed as compute_all
from apps.metrics.words import Window

DAY = dt.date(2025, 9, 4)
FIRST, LAST = AUTUMN - dt.timedelta(days=6), AUTUMN + dt.timedelta(days=4)
TWO = {1: "toman/exchange/trading/engine", 2: "toman/exchange/custody/vault"}
REASONS = {"", "before_history", "not_on_this_tier", "feature_disabled", "no_access", "no_sample"}


def at(metric: str, scope: str = "org", day: dt.date = DAY) -> tuple[Decimal | None, int, str]:
    row = MetricDaily.objects.get(metric=metric, scope__key=scope, day=day)
    return row.value, row.n, row.reason


def refused(project: int, entity: str, reason: str) -> None:
    IngestionState.objects.create(level="project", level_id=project, entity=entity, unavailable=reason)


def everything() -> set[tuple[Any, ...]]:
    columns = ("scope__key", "metric", "window", "day", "numerator", "denominator", "value", "n", "reason")
    return set(MetricDaily.objects.values_list(*columns))


@pytest.mark.django_db
@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 9]])
def test_days_fold_alike_together_and_apart_and_the_second_time_nothing_is_written(cuts: list[int]) -> None:
    told(grown(3, change=AUTUMN))
    compute_all()
    roll_up(first=FIRST, last=LAST, history_from=HISTORY)
    together = everything()
    assert roll_up(first=FIRST, last=LAST, history_from=HISTORY) == 0
    MetricDaily.objects.all().delete()
    starts = [FIRST + dt.timedelta(days=cut) for cut in [0, *cuts]][::-1]  # the youngest part first
    ends = [LAST, *(start - dt.timedelta(days=1) for start in starts)]
    for start, end in zip(starts, ends, strict=False):
        roll_up(first=start, last=end, history_from=HISTORY)
    assert everything() == together


@pytest.mark.django_db
def test_days_that_stand_are_compared_and_days_that_do_not_are_written() -> None:
    builders.house()
    builders.mr(created="2025-09-01 10:00", merged="2025-09-04 10:00")
    computed()
    day, one = DAY + dt.timedelta(days=1), dt.timedelta(days=1)
    roll_up(first=day, last=day, history_from=HISTORY)
    MetricDaily.objects.filter(metric="mr_throughput_wk", scope__key="org").update(numerator=9, value=9)
    rows = len(METRICS) * Scope.objects.count()
    assert roll_up(first=DAY, last=day + one, history_from=HISTORY) == 2 * rows + 1
    assert at("mr_throughput_wk", day=day) == (Decimal(1), 1, "")


@pytest.mark.django_db
def test_every_metric_has_a_row_for_every_scope_and_day_and_null_always_a_reason() -> None:
    builders.house(paths=TWO)
    computed()
    roll_up(first=DAY, last=DAY + dt.timedelta(days=1), history_from=HISTORY)
    assert MetricDaily.objects.count() == len(METRICS) * Scope.objects.count() * 2
    assert set(MetricDaily.objects.values_list("reason", flat=True)) <= REASONS
    assert not MetricDaily.objects.filter(value=None, reason="").exists()
    assert not MetricDaily.objects.filter(value__isnull=False).exclude(reason="").exists()
    assert not MetricDaily.objects.exclude(metric__in=[m.key for m in METRICS]).exists()


@pytest.mark.django_db
def test_nothing_is_zero_for_a_count_and_null_for_all_else() -> None:
    builders.house()
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    for metric in METRICS:
        counts = bool(metric.rows) and metric.aggregate.value == "count"
        assert at(metric.key) == ((Decimal(0), 0, "") if counts else (None, 0, "no_sample")), metric.key


@pytest.mark.django_db
def test_a_window_that_begins_before_history_has_no_value() -> None:
    builders.house()
    builders.mr(created="2025-09-01 10:00", merged="2025-09-04 10:00", commits=["2025-09-01 09:00"])
    computed()
    last = DAY + dt.timedelta(days=30)
    roll_up(first=dt.date(2025, 8, 1), last=last, history_from=DAY)
    assert not MetricDaily.objects.filter(day__lt=DAY).exists()
    assert at("wip_mr_count")[2] == ""  # the end of a day holds from the first day on
    assert at("direct_pushes_default") == (Decimal(0), 0, "")
    assert at("mr_throughput_wk", day=DAY + dt.timedelta(days=5)) == (None, 0, "before_history")
    assert at("mr_throughput_wk", day=DAY + dt.timedelta(days=6)) == (Decimal(1), 1, "")
    assert at("mr_cycle_time_p50_h", day=DAY + dt.timedelta(days=28)) == (None, 0, "before_history")
    assert at("mr_cycle_time_p50_h", day=DAY + dt.timedelta(days=29)) == (Decimal(73), 1, "")


@pytest.mark.django_db
def test_a_mixed_scope_uses_the_projects_that_can_be_measured() -> None:
    builders.house(paths=TWO)
    for project in TWO:
        builders.pipeline(created="2025-09-03 10:00", project=project)
    refused(1, "pipelines", "feature_disabled")
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("pipeline_success_rate") == (Decimal(1), 1, "")
    assert at("pipeline_success_rate", f"repo:{TWO[1]}") == (None, 0, "feature_disabled")
    assert at("deployment_frequency_wk", f"repo:{TWO[1]}") == (None, 0, "feature_disabled")  # null, and not 0
    assert at("deployment_frequency_wk", "team:Custody") == (Decimal(1), 1, "")
    assert at("mr_throughput_wk", f"repo:{TWO[1]}") == (Decimal(0), 0, "")


@pytest.mark.django_db
def test_an_empty_window_of_a_mixed_scope_names_what_could_not_be_measured() -> None:
    builders.house(paths=TWO)
    refused(1, "pipelines", "no_access")
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("pipeline_success_rate") == (None, 0, "no_access")
    assert at("deployment_frequency_wk") == (Decimal(0), 0, "")  # of the other project we know it


@pytest.mark.django_db
def test_a_project_that_we_may_not_see_is_measured_in_nothing() -> None:
    builders.house()
    Exclusion.objects.create(project_id=1, reason="no_access", since=builders.LONG_AGO)
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    measured = {metric.key for metric in METRICS if metric.rows}
    rows = MetricDaily.objects.filter(scope__key=f"repo:{TWO[1]}", metric__in=measured)
    assert set(rows.values_list("value", "reason")) == {(None, "no_access")}


@pytest.mark.django_db
def test_deployments_that_we_may_not_see_are_not_guessed_from_branches() -> None:
    builders.house()
    builders.pipeline(created="2025-09-03 10:00")
    refused(1, "deployments", "no_access")
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("deployment_frequency_wk") == (None, 0, "no_access")
    assert at("pipeline_success_rate") == (Decimal(1), 1, "")


@pytest.mark.django_db
def test_approvals_that_the_tier_does_not_tell_are_not_zero() -> None:
    builders.house(paths=TWO)
    builders.mr(created="2025-09-03 08:00", merged="2025-09-03 10:00", approvals="0 of unknown")
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("approval_bypass_ratio", "team:Trading") == (None, 0, "not_on_this_tier")
    assert at("approval_bypass_ratio", "team:Custody") == (None, 0, "no_sample")
    assert at("approval_bypass_ratio") == (None, 0, "not_on_this_tier")


@pytest.mark.django_db
def test_a_rule_s_minimum_measures_approvals_on_any_tier() -> None:
    builders.house(rules={"default": {"approvals": {"minimum": 1}}})
    builders.mr(created="2025-09-03 08:00", merged="2025-09-03 10:00", approvals="0 of unknown")
    builders.mr(created="2025-09-03 08:00", merged="2025-09-03 10:00", approvals="1 of unknown")
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("approval_bypass_ratio") == (Decimal("0.5"), 2, "")


@pytest.mark.django_db
def test_other_windows_are_folded_on_demand() -> None:
    builders.house()
    for merged in ("2025-09-04", "2025-08-20", "2025-07-20"):
        day = dt.date.fromisoformat(merged)
        builders.mr(created=f"{day} 08:00", merged=f"{day} 10:00", commits=[f"{day} 0{9 - day.month % 3}:00"])
    computed()
    scope = Scope.objects.get(key="org")

    def over(window: Window, metric: str, history_from: dt.date = HISTORY) -> tuple[Any, ...]:
        (rolled,) = values_of(
            by_key(metric), scope, window=window, first=DAY, last=DAY, history_from=history_from
        )
        return rolled.value.numerator, rolled.value.denominator, rolled.value.n, rolled.reason

    assert over(Window.D1, "mr_throughput_wk") == (7, 1, 1, "")
    assert over(Window.D7, "mr_throughput_wk") == (1, 1, 1, "")
    assert over(Window.D30, "mr_throughput_wk") == (14, 30, 2, "")
    assert over(Window.D90, "mr_throughput_wk") == (21, 90, 3, "")
    assert over(Window.D90, "mr_cycle_time_p50_h", dt.date(2025, 6, 8)) == (None, None, 0, "before_history")
    assert over(Window.D90, "mr_cycle_time_p50_h", dt.date(2025, 6, 7))[3] == ""


@pytest.mark.django_db
def test_a_project_carries_its_past_to_where_it_belongs_now() -> None:
    builders.house(paths=TWO)
    builders.mr(created="2025-09-03 08:00", merged="2025-09-03 10:00")
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("mr_throughput_wk", "team:Trading")[0] == 1
    moved = "toman/exchange/custody/engine"
    Project.objects.filter(pk=1).update(path_with_namespace=moved)
    computed()
    roll_up(first=DAY, last=DAY, history_from=HISTORY)
    assert at("mr_throughput_wk", "team:Trading")[0] == 0
    assert at("mr_throughput_wk", "team:Custody")[0] == 1
    assert at("mr_throughput_wk", f"repo:{moved}")[0] == 1
    assert not MetricDaily.objects.filter(scope__key=f"repo:{TWO[1]}", day=DAY).exists()


@pytest.mark.django_db
def test_without_a_history_there_are_no_values() -> None:
    builders.house()
    assert roll_up(first=DAY, last=DAY, history_from=None) == 0

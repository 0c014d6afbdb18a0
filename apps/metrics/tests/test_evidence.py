"""A value can show what it was made of: the sample, added up again, is the stored value to the last digit."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.collector.models import IngestionState, Server
from apps.metrics.entities import shown
from apps.metrics.evidence import evidence
from apps.metrics.models import MetricDaily, Scope
from apps.metrics.registry import METRICS, by_key
from apps.metrics.rollup import roll_up, values_of
from apps.metrics.tests import builders
from apps.metrics.tests.test_cases import HISTORY, ONE_REPO, computed
from apps.metrics.tests.test_oracle import AUTUMN, grown, told
from apps.metrics.tests.test_oracle import computed as compute_all
from apps.metrics.words import Window
from apps.orgmap.models import RuleChange

DAY = dt.date(2025, 9, 4)


@pytest.mark.django_db
def test_the_evidence_of_every_value_adds_up_to_it() -> None:
    told(grown(2, change=AUTUMN))
    compute_all()
    roll_up(first=AUTUMN, last=AUTUMN, history_from=HISTORY)
    rows = MetricDaily.objects.filter(day=AUTUMN).exclude(reason="before_history")
    for row in rows.select_related("scope"):
        found = evidence(row.metric, row.scope.key, AUTUMN)
        assert (found.exact.numerator, found.exact.denominator, found.n) == (
            row.numerator,
            row.denominator,
            row.n,
        )
        assert (found.value, found.low, found.high) == (row.value, row.low, row.high)
        assert found.reason == row.reason
        assert len(found.entities) == row.n
        counted = {(one.project, one.entity_id) for one in found.entities}
        assert not counted & {(one.project, one.entity_id) for one in found.left_out}


@pytest.mark.django_db
def test_so_does_that_of_other_windows() -> None:
    told(grown(2, change=AUTUMN))
    compute_all()
    scope = Scope.objects.get(key="org")
    for metric in METRICS:
        for window in (Window.D1, Window.D7, Window.D90):
            if metric.window is not Window.EOD:
                (rolled,) = values_of(
                    metric, scope, window=window, first=AUTUMN, last=AUTUMN, history_from=dt.date(2024, 1, 1)
                )
                assert evidence(metric.key, "org", AUTUMN, window.value).exact == rolled.value


@pytest.fixture
def small() -> dict[str, int]:
    """A repo with one of most things; answers their numbers."""
    builders.house()
    numbers = {
        "mr": builders.mr(
            created="2025-09-01 10:00", merged="2025-09-02 10:00", commits=["2025-09-01 04:00"]
        ),
        "odd": builders.mr(
            created="2025-09-01 10:00", merged="2025-09-02 10:00", commits=["2025-09-03 04:00"]
        ),
        "open": builders.mr(created="2025-09-04 10:00"),
        "pipeline": builders.pipeline(created="2025-09-02 11:00", ref="main", sha="c1"),
    }
    builders.tag(name="v1.0 ü", committed="2025-09-03 10:00")
    builders.commit(sha="c1", committed="2025-09-04 10:00")
    builders.branch(head="c1")
    computed()
    return numbers


@pytest.mark.django_db
def test_every_entity_has_its_address_in_gitlab(small: dict[str, int]) -> None:
    base = "https://gitlab.example.org/toman/exchange/trading/engine/-"
    addresses = {
        "mr_cycle_time_p50_h": f"{base}/merge_requests/{small['mr']}",
        "wip_mr_count": f"{base}/merge_requests/{small['open']}",
        "pipeline_success_rate": f"{base}/pipelines/{small['pipeline']}",
        "deployment_frequency_wk": f"{base}/pipelines/{small['pipeline']}",
        "release_cadence_wk": f"{base}/tags/v1.0%20%C3%BC",
        "direct_pushes_default": f"{base}/commit/c1",
    }
    for key, address in addresses.items():
        (entity,) = evidence(key, ONE_REPO, DAY).entities
        assert entity.url == address


@pytest.mark.django_db
def test_an_issue_that_counts_in_another_project_has_the_address_of_its_own(small: dict[str, int]) -> None:
    builders.project(2, "toman/exchange/custody/vault")
    builders.issue(created="2025-09-01 10:00", iid=77)
    own, other = (shown("issue", project=at, web_url="", ids=["77"])["77"] for at in (1, 2))
    assert (own.label, other.label) == ("#77", "toman/exchange/trading/engine#77")
    assert own.url == other.url == "https://gitlab.example.org/toman/exchange/trading/engine/-/issues/77"


@pytest.mark.django_db
def test_a_contribution_is_told_in_the_metric_s_unit(small: dict[str, int]) -> None:
    (cycle,) = evidence("mr_cycle_time_p50_h", "org", DAY).entities
    assert (cycle.value, cycle.contribution, cycle.when) == (30 * 3_600_000, "30.0000 h", "2025-09-02 10:00")
    (age,) = evidence("wip_age_p50_h", "org", DAY).entities
    assert (age.value, age.contribution) == (14 * 3_600_000, "14.0000 h")


@pytest.mark.django_db
def test_what_was_left_out_is_named_with_the_reason(small: dict[str, int]) -> None:
    path = "toman/exchange/trading/engine"
    (odd,) = evidence("mr_cycle_time_p50_h", "org", DAY).left_out
    assert (odd.what, odd.reason) == (f"{path} mr !{small['odd']}", "negative_cycle_time")
    assert odd.url == f"https://gitlab.example.org/{path}/-/merge_requests/{small['odd']}"
    assert not evidence("mr_cycle_time_p50_h", "org", DAY + dt.timedelta(days=60)).left_out
    assert {one.reason for one in evidence("time_in_review_p50_h", "org", DAY).left_out} == {"no_review"}
    IngestionState.objects.create(level="project", level_id=1, entity="pipelines", unavailable="no_access")
    shown = evidence("pipeline_success_rate", "org", DAY)
    assert (shown.value, shown.entities) == (None, [])
    assert [(one.what, one.reason) for one in shown.left_out] == [(path, "no_access")]


@pytest.mark.django_db
def test_an_entity_says_by_which_signal_and_rules_it_counts(small: dict[str, int]) -> None:
    (one,) = evidence("deployment_frequency_wk", "org", DAY).entities
    newest = RuleChange.objects.latest("version").version
    assert (one.signal, one.rules_version) == ("default_branch", newest)
    shown = evidence("mr_throughput_wk", "org", DAY)
    assert {entity.signal for entity in shown.entities} == {"0 of 0 approvals, 0 rounds, 0 force pushes"}
    assert shown.rules_versions == [newest]


@pytest.mark.django_db
def test_a_window_that_begins_before_history_has_entities_but_no_value(small: dict[str, int]) -> None:
    since = builders.moment("2025-09-01 00:00")
    Server.objects.create(url="https://gitlab.example.org", history_since=since, probed_at=builders.LONG_AGO)
    shown = evidence("mr_throughput_wk", "org", DAY)
    assert (shown.value, shown.n, shown.reason, len(shown.entities)) == (None, 0, "before_history", 2)
    assert evidence("mr_throughput_wk", "org", dt.date(2025, 9, 7)).value == 2
    assert evidence("wip_mr_count", "org", DAY).value == 1


@pytest.mark.django_db
def test_questions_that_have_no_answer(small: dict[str, int]) -> None:
    with pytest.raises(KeyError, match="no_such_metric is no metric"):
        evidence("no_such_metric", "org", DAY)
    with pytest.raises(Scope.DoesNotExist):
        evidence("mr_throughput_wk", "team:Nobody", DAY)
    with pytest.raises(ValueError, match="has no window"):
        evidence("wip_mr_count", "org", DAY, "D7")
    with pytest.raises(CommandError, match="2025-13-01 is no day"):
        call_command("explain", "mr_throughput_wk", "org", "2025-13-01")
    with pytest.raises(CommandError, match="invalid choice: 'no_such_metric'"):
        call_command("explain", "no_such_metric", "org", "2025-09-04")
    with pytest.raises(CommandError, match="team:Nobody is no scope"):
        call_command("explain", "mr_throughput_wk", "team:Nobody", "2025-09-04")
    with pytest.raises(CommandError, match="has no window EOD"):
        call_command("explain", "mr_throughput_wk", "org", "2025-09-04", window="EOD")


@pytest.mark.django_db
def test_the_command_tells_programs(small: dict[str, int]) -> None:
    out = StringIO()
    call_command("explain", "mr_cycle_time_p50_h", "team:Trading", "2025-09-04", format="json", stdout=out)
    told_ = json.loads(out.getvalue())
    assert (told_["value"], told_["n"], told_["window"]) == (30.0, 1, "D30")
    assert (told_["numerator"], told_["denominator"]) == (30 * 3_600_000 * 10, 10 * 3_600_000)
    assert [e["contribution"] for e in told_["entities"]] == [30 * 3_600_000]


@pytest.mark.django_db
def test_the_command_tells_people(small: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("explain", "mr_throughput_wk", "org", "2025-09-04", window="D30")
    shown = capsys.readouterr().out
    assert "n = 2" in shown
    assert by_key("mr_throughput_wk").definition.split()[0] in shown
    assert f"!{small['mr']}" in shown

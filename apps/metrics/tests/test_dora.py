"""DORA's levels."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apps.metrics.dora import REPORTS, band
from apps.metrics.registry import by_key


@pytest.mark.parametrize(
    ("metric", "value", "level"),
    [
        ("deployment_frequency_wk", "7", "elite"),
        ("deployment_frequency_wk", "6.9999", "high"),
        ("deployment_frequency_wk", "1", "high"),
        ("deployment_frequency_wk", "0.5", "medium"),
        ("deployment_frequency_wk", "0", "low"),
        ("lead_time_first_commit_p50_h", "23.9999", "elite"),
        ("lead_time_first_commit_p50_h", "24", "high"),
        ("lead_time_first_commit_p50_h", "168", "medium"),
        ("lead_time_first_commit_p50_h", "720", "low"),
        ("change_failure_rate", "0.05", "elite"),
        ("change_failure_rate", "0.0501", "high"),
        ("change_failure_rate", "0.15", "medium"),
        ("change_failure_rate", "0.16", "low"),
        ("failed_deployment_recovery_p50_h", "0.9", "elite"),
        ("failed_deployment_recovery_p50_h", "100", "medium"),
    ],
)
def test_a_value_has_the_best_level_that_fits(metric: str, value: str, level: str) -> None:
    assert band(metric, Decimal(value)) == level


def test_no_value_and_no_scale_have_no_level() -> None:
    assert band("change_failure_rate", None) is None
    assert band("wip_mr_count", Decimal(3)) is None


def test_every_scale_belongs_to_a_metric() -> None:
    for report in REPORTS.values():
        assert all(by_key(key) for key in report)

"""DORA's performance levels for its four keys, by the report that published them.

The report of 2023 is the latest whose levels are in order: in that of 2024 the high level fails more often
than the medium one. A level holds from its threshold on, the best that fits is told.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import ge, le, lt
from typing import NamedTuple

LEVELS = ("elite", "high", "medium")
LOWEST = "low"
DAY, WEEK, MONTH = 24, 7 * 24, 30 * 24  # in hours


class Scale(NamedTuple):
    """Thresholds of elite, high and medium, in the metric's unit, and how a value is held against them."""

    fits: Callable[[Decimal, Decimal], bool]
    thresholds: tuple[Decimal, Decimal, Decimal]


def _scale(fits: Callable[[Decimal, Decimal], bool], *thresholds: float | str) -> Scale:
    elite, high, medium = (Decimal(str(one)) for one in thresholds)
    return Scale(fits, (elite, high, medium))


REPORT = 2023
REPORTS: dict[int, dict[str, Scale]] = {
    2023: {
        "deployment_frequency_wk": _scale(ge, 7, 1, "0.2333"),  # daily, weekly, monthly
        "lead_time_first_commit_p50_h": _scale(lt, DAY, WEEK, MONTH),
        "change_failure_rate": _scale(le, "0.05", "0.10", "0.15"),
        "failed_deployment_recovery_p50_h": _scale(lt, 1, DAY, WEEK),
    }
}
"""Year of the report -> metric -> scale."""


def band(metric: str, value: Decimal | None, *, report: int = REPORT) -> str | None:
    """The level of a value by the report of a year; None for other metrics and where there is no value.

    Raises KeyError for a report that is not known.
    """
    scale = REPORTS[report].get(metric)
    if scale is None or value is None:
        return None
    fitting = (level for level, bar in zip(LEVELS, scale.thresholds, strict=True) if scale.fits(value, bar))
    return next(fitting, LOWEST)

"""The tiles of one scope on one day, read from the stored values. Computes no metric."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from apps.exports.sparkline import Point, Sparkline, sparkline
from apps.exports.wording import NAMES_OF_WINDOWS, NOT_COLLECTED, WHY_NOT, Change, change, figure, period_days
from apps.metrics.dora import REPORT, band
from apps.metrics.models import MetricDaily, Scope
from apps.metrics.registry import METRICS, Metric

LINE_DAYS = 90
MAY_BE_CHANCE = "may be chance"
_DAY = dt.timedelta(days=1)


class Stored(NamedTuple):
    """One row of metric_daily. A value that was never stored has no sample."""

    value: Decimal | None = None
    n: int = 0
    reason: str = "no_sample"
    low: Decimal | None = None
    high: Decimal | None = None

    def overlaps(self, other: Stored) -> bool:
        """Whether one value could be both: an end that the sample does not bound lies anywhere."""
        return not (_is_below(self.high, other.low) or _is_below(other.high, self.low))


def _is_below(high: Decimal | None, low: Decimal | None) -> bool:
    return high is not None and low is not None and high < low


Series = dict[dt.date, Stored]


@dataclass(frozen=True)
class Tile:
    """One number and what a reader needs to trust it."""

    metric: Metric
    day: dt.date
    series: Series

    @property
    def stored(self) -> Stored:
        return self.series.get(self.day, Stored())

    @property
    def figure(self) -> str:
        return self._said(self.stored)

    @property
    def why_not(self) -> str:
        """Why there is no number, and what to do; never 0 in its place."""
        if self.stored.value is not None:
            return ""
        return WHY_NOT[self.stored.reason] if self.is_collected else NOT_COLLECTED

    @property
    def is_collected(self) -> bool:
        """Whether this version of TEM collects what the metric is made of."""
        return bool(self.metric.rows)

    @property
    def is_empty(self) -> bool:
        """It could be measured, but nothing happened."""
        return self.is_collected and self.stored.reason == "no_sample"

    @property
    def exact(self) -> str:
        """The value as the files tell it."""
        value = self.stored.value
        return "none" if value is None else f"{value.normalize():f}"

    @property
    def is_thin(self) -> bool:
        return self.stored.value is not None and self.stored.n < self.metric.min_sample

    @property
    def band(self) -> str:
        """DORA's level of it, with the report that set the levels; empty for what DORA does not rate."""
        level = band(self.metric.key, self.stored.value)
        return f"{level} · DORA {REPORT}" if level else ""

    @property
    def window(self) -> str:
        return NAMES_OF_WINDOWS[str(self.metric.window)]

    @property
    def interval(self) -> str:
        """Where the true value lies with 95 % confidence, in words; empty where the sample does not say."""
        low, high = (
            None if end is None else figure(end, self.metric.unit)
            for end in (self.stored.low, self.stored.high)
        )
        if low and high:
            return f"95 % certain: {low} to {high}"
        return f"95 % certain: {low} or more" if low else f"95 % certain: {high} or less" if high else ""

    @property
    def change(self) -> Change | None:
        """How it moved; better or worse only where the 95 % intervals of both days lie apart.

        That is stricter than a test at 5 % (nearer to one false alarm in 170), as it has to be: a page shows
        dozens of tiles, and a reader believes each. Counts and means of durations are told as they are.
        """
        since = self.day - period_days(str(self.metric.window)) * _DAY
        before = self.series.get(since, Stored())
        moved = change(
            self.stored.value, before.value,
            unit=self.metric.unit, better=self.metric.better.value, since=since,
        )  # fmt: skip
        if moved and moved.amount and self.metric.has_interval and self.stored.overlaps(before):
            return replace(moved, verdict=MAY_BE_CHANCE)
        return moved

    @property
    def line(self) -> list[Point]:
        """The days of the sparkline, oldest first; it begins where the history does."""
        days = [self.day - n * _DAY for n in range(LINE_DAYS - 1, -1, -1)]
        return [(day, self.series[day].value) for day in days if day in self.series]

    @property
    def sparkline(self) -> Sparkline | None:
        return sparkline(self.line, unit=self.metric.unit)

    @property
    def table(self) -> list[tuple[dt.date, str, int, str]]:
        """The line as rows, newest first: day, figure, sample size, why not."""
        rows = sorted(self.series.items(), reverse=True)
        return [(day, self._said(row), row.n, WHY_NOT.get(row.reason, "")) for day, row in rows[:LINE_DAYS]]

    def _said(self, row: Stored) -> str:
        return "" if row.value is None else figure(row.value, self.metric.unit)


def tiles(scope: Scope, day: dt.date, *, metrics: Sequence[Metric] = METRICS) -> list[Tile]:
    """One tile a metric, in the order of the registry, in default windows."""
    series: dict[str, Series] = defaultdict(dict)
    windows = {metric.key: str(metric.window) for metric in metrics}
    rows = MetricDaily.objects.filter(
        scope=scope, metric__in=list(windows), day__in=[day - n * _DAY for n in range(LINE_DAYS + 1)]
    ).values_list("metric", "window", "day", "value", "n", "reason", "low", "high")
    for key, window, at, value, n, reason, low, high in rows:
        if windows[key] == window:
            series[key][at] = Stored(value, n, reason, low, high)
    return [Tile(metric, day, series[metric.key]) for metric in metrics]


def by_competency(shown: Sequence[Tile]) -> dict[str, list[Tile]]:
    """The tiles under the full names of their competencies, in the order of the registry.

    What is not collected yet comes last.
    """
    groups: dict[str, list[Tile]] = defaultdict(list)
    for tile in sorted(shown, key=lambda tile: not tile.is_collected):
        groups[tile.metric.competency.value].append(tile)
    return dict(groups)

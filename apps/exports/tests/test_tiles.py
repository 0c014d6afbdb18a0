"""What a tile says of its number: thin, changed, or perhaps only chance."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from apps.exports.tiles import Stored, Tile
from apps.metrics.registry import by_key

DAY = dt.date(2025, 9, 4)
EARLIER = DAY - dt.timedelta(days=30)
HOURS, COUNT, MEAN = (
    by_key(key) for key in ("mr_cycle_time_p50_h", "mr_throughput_wk", "mean_time_to_green_h")
)


def stored(value: str, low: str | None = None, high: str | None = None, *, n: int = 40) -> Stored:
    ends: list[Any] = [None if end is None else Decimal(end) for end in (low, high)]
    return Stored(Decimal(value), n, "", *ends)


def tile(now: Stored, before: Stored, metric: Any = HOURS) -> Tile:
    earlier = DAY - dt.timedelta(days=7) if metric is COUNT else EARLIER
    return Tile(metric, DAY, {DAY: now, earlier: before})


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        (stored("10", "8", "12"), stored("20", "15", "30"), "better"),
        (stored("20", "15", "30"), stored("10", "8", "12"), "worse"),
        (stored("20", "11", "30"), stored("10", "8", "12"), "may be chance"),
        (stored("20", "12", "30"), stored("10", "8", "12"), "may be chance"),  # they touch
        (stored("20", None, "30"), stored("10", "8", "12"), "may be chance"),
        (stored("20", "15", None), stored("10", "8", "12"), "worse"),
        (stored("20", n=3), stored("10", n=3), "may be chance"),
        (stored("20", "11", "30"), stored("20", "8", "40"), "unchanged"),
    ],
)
def test_a_percentile_has_changed_only_where_the_intervals_lie_apart(
    now: Stored, before: Stored, verdict: str
) -> None:
    change = tile(now, before).change
    assert change
    assert change.verdict == verdict


@pytest.mark.parametrize(("metric", "verdict"), [(COUNT, "better"), (MEAN, "worse")])
def test_counts_and_means_are_told_as_they_are(metric: Any, verdict: str) -> None:
    change = tile(stored("20"), stored("10"), metric).change
    assert change
    assert change.verdict == verdict


def test_what_may_be_chance_is_said_with_its_amount() -> None:
    change = tile(stored("20", "11", "30"), stored("10", "8", "12")).change
    assert change
    assert (change.sentence, change.link) == ("+10.0\u00a0h, may be chance", "since")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (stored("20", "15", "30"), "95 % certain: 15.0\u00a0h to 30.0\u00a0h"),
        (stored("20", "15", None), "95 % certain: 15.0\u00a0h or more"),
        (stored("20", None, "30"), "95 % certain: 30.0\u00a0h or less"),
        (stored("20"), ""),
    ],
)
def test_the_interval_is_told_as_far_as_the_sample_bounds_it(now: Stored, said: str) -> None:
    assert tile(now, now).interval == said


def test_below_its_least_sample_a_tile_is_thin() -> None:
    assert tile(stored("20", n=HOURS.min_sample - 1), stored("10")).is_thin
    assert not tile(stored("20", n=HOURS.min_sample), stored("10")).is_thin

"""Intervals against their definitions, said with exact fractions; and against known tables."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.metrics.fold import Entries, Members, fold
from apps.metrics.intervals import NONE, bounding_ranks, ranks, wilson
from apps.metrics.tests.test_fold import ENDS, FIRST, metric
from apps.metrics.words import Aggregate, Shape, Unit, Window

TAIL = Fraction(25, 1000)


def at_most(k: int, *, n: int, p: Fraction) -> Fraction:
    """P(Binomial(n, p) <= k), exactly."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), Fraction(0))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 120), tenths=st.sampled_from([5, 9]))
def test_a_percentile_lies_below_or_above_its_bounds_in_at_most_one_case_in_forty(
    n: int, tenths: int
) -> None:
    low, high = bounding_ranks(n, tenths)
    p = Fraction(tenths, 10)
    # The member of rank r is above the percentile if at most r of n are below it.
    if low == NONE:
        assert at_most(0, n=n, p=p) > TAIL
    else:
        assert at_most(low, n=n, p=p) <= TAIL < at_most(low + 1, n=n, p=p)
    if high == NONE:
        assert at_most(0, n=n, p=1 - p) > TAIL
    else:
        outside = n - 1 - high
        assert at_most(outside, n=n, p=1 - p) <= TAIL < at_most(outside + 1, n=n, p=1 - p)


@pytest.mark.parametrize(("n", "bounds"), [(5, (NONE, NONE)), (6, (0, 5)), (20, (5, 14)), (100, (39, 60))])
def test_bounds_of_the_median_are_those_of_the_printed_tables(n: int, bounds: tuple[int, int]) -> None:
    assert bounding_ranks(n, 5) == bounds


def test_large_samples_are_bounded_as_by_the_normal_distribution() -> None:
    low, high = bounding_ranks(60_000, 9)
    spread = 1.96 * (60_000 * 0.09) ** 0.5
    assert low == pytest.approx(54_000 - spread, abs=2)
    assert high == pytest.approx(54_000 + spread, abs=2)


def test_ranks_of_many_samples_are_those_of_each() -> None:
    n = np.array([[0, 6], [6, 500]])
    low, high = ranks(n, tenths=5)
    assert low.tolist() == [[NONE, 0], [0, bounding_ranks(500, 5)[0]]]
    assert high.tolist() == [[NONE, 5], [5, bounding_ranks(500, 5)[1]]]


@pytest.mark.parametrize(
    ("successes", "n", "bounds"),
    [
        (0, 0, (NONE, NONE)),
        (0, 10, (0, 2775)),  # Wilson 1927, as R's prop.test(0, 10, correct = FALSE) prints it
        (10, 10, (7225, 10_000)),
        (81, 263, (2553, 3662)),  # Newcombe 1998, table I
        (15, 148, (624, 1605)),
        (1, 29, (61, 1718)),
    ],
)
def test_a_ratio_has_wilson_s_interval(successes: int, n: int, bounds: tuple[int, int]) -> None:
    low, high = wilson(np.array([successes]), np.array([n]))
    assert (int(low[0]), int(high[0])) == bounds


def of_sample(values: list[int], **of: object) -> tuple[int, int]:
    entries = Entries.of([(1, FIRST, FIRST + 9, value, 1) for value in values])
    (found,) = fold([metric(**of)], entries, Members.of([[1]]), window=Window.D30, first=FIRST, ends=ENDS)  # type: ignore[arg-type]
    return int(found.low[0, 0]), int(found.high[0, 0])


def test_a_percentile_is_bounded_by_members_of_its_own_sample() -> None:
    hours = [n * 3_600_000 for n in range(1, 21)]
    assert of_sample(hours, aggregate=Aggregate.P50) == (6 * 10_000, 15 * 10_000)
    assert of_sample(hours, aggregate=Aggregate.P90) == (15 * 10_000, NONE)


def test_ages_are_bounded_by_members_too() -> None:
    end = int(ENDS[0])
    since = [end - n * 3_600_000 for n in range(1, 21)]
    assert of_sample(since, aggregate=Aggregate.P50, shape=Shape.AGE) == (6 * 10_000, 15 * 10_000)


def test_counts_and_means_of_durations_have_no_interval() -> None:
    for of in ({"aggregate": Aggregate.COUNT, "unit": Unit.COUNT}, {"aggregate": Aggregate.MEAN}):
        assert of_sample([1, 2, 3], **of) == (NONE, NONE)
    assert of_sample([0] * 10, aggregate=Aggregate.MEAN, unit=Unit.RATIO) == (0, 2775)

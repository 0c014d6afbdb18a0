"""The fold against the plainest way to say the same: equal to the last digit, in every shape and scope."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.metrics.fold import Entries, Folded, Members, Value, fold, published, rounded, told
from apps.metrics.intervals import NONE
from apps.metrics.tests import plain_fold
from apps.metrics.tests.plain_fold import Member
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Shape, Unit, Window

FIRST, LAST = 100, 130
DAYS = range(FIRST, LAST + 1)
ENDS = np.array([10**12 + day * 86_400_000 for day in DAYS])
SCOPES = [[1, 2, 3], [1, 2], [3], [2], [], [7]]


def metric(
    aggregate: Aggregate, *, unit: Unit = Unit.HOURS, shape: Shape = Shape.POINT, key: str = "x"
) -> Metric:
    return Metric(
        key=key, title="", unit=unit, window=Window.D30,
        competency=Competency.DEVOPS, better=Direction.NEITHER,
        definition="", aggregate=aggregate, entity="mr", shape=shape, rows="select",
    )  # fmt: skip


def folded(of: Metric, members: list[Member], window: Window = Window.D30) -> Folded:
    entries = Entries.of([(*member, 1) for member in members])
    (found,) = fold([of], entries, Members.of(SCOPES), window=window, first=FIRST, ends=ENDS)
    return found


def exact(value: Value) -> Fraction | None:
    return None if value.numerator is None else Fraction(value.numerator, value.denominator)


members = st.lists(
    st.builds(
        lambda project, enter, length, value: Member(project, enter, enter + length, value),
        st.integers(1, 4),
        st.integers(FIRST - 40, LAST + 5),
        st.integers(0, 60),
        st.integers(0, 9) | st.integers(0, 10**10),
    ),
    max_size=60,
)


@given(members=members, aggregate=st.sampled_from(Aggregate))
@example(members=[Member(1, 90, 131, n % 7) for n in range(70)], aggregate=Aggregate.P90)
def test_every_scope_has_on_every_day_the_value_of_the_members_that_span_it(
    members: list[Member], aggregate: Aggregate
) -> None:
    found = folded(metric(aggregate, unit=Unit.COUNT), members)
    for scope, projects in enumerate(SCOPES):
        for column, day in enumerate(DAYS):
            sample = plain_fold.sample(members, projects=projects, day=day)
            value = found.value(scope, column)
            assert exact(value) == plain_fold.aggregate(aggregate, sample)
            assert value.n == (sum(sample) if aggregate is Aggregate.COUNT else len(sample))


@given(members=members, aggregate=st.sampled_from([Aggregate.P50, Aggregate.P90]))
def test_an_age_is_the_end_of_the_day_less_its_since(members: list[Member], aggregate: Aggregate) -> None:
    found = folded(metric(aggregate, unit=Unit.COUNT, shape=Shape.AGE), members)
    for scope, projects in enumerate(SCOPES):
        for column, (day, end) in enumerate(zip(DAYS, ENDS.tolist(), strict=True)):
            ages = [end - since for since in plain_fold.sample(members, projects=projects, day=day)]
            assert exact(found.value(scope, column)) == plain_fold.aggregate(aggregate, ages)


def test_metrics_that_share_a_sample_are_folded_together() -> None:
    members = [Member(1, 100, 110, value) for value in (1, 2, 3, 4)]
    both = [metric(Aggregate.P50, unit=Unit.COUNT), metric(Aggregate.P90, unit=Unit.COUNT)]
    entries = Entries.of([(*member, 1) for member in members])
    found = fold(both, entries, Members.of(SCOPES), window=Window.D30, first=FIRST, ends=ENDS)
    assert [exact(one.value(0, 0)) for one in found] == [Fraction(5, 2), Fraction(37, 10)]


def test_entries_summed_beforehand_fold_like_single_ones() -> None:
    single = [(1, 100, 110, 3, 1), (1, 100, 110, 4, 1), (1, 105, 110, 5, 1)]
    summed = [(1, 100, 110, 7, 2), (1, 105, 110, 5, 1)]
    told = [
        fold([metric(Aggregate.MEAN)], Entries.of(rows), Members.of(SCOPES), window=Window.D30, first=FIRST,
             ends=ENDS)[0]
        for rows in (single, summed)
    ]  # fmt: skip
    assert all((one == other).all() for one, other in zip(*told, strict=True))
    assert told[0].value(0, 5) == Value(12, 3 * 3_600_000, 3)


def test_projects_can_be_left_out_of_the_scopes() -> None:
    left = Members.of(SCOPES).without([1, 3])
    assert (left.scope.tolist(), left.project.tolist()) == ([0, 1, 3, 5], [2, 2, 2, 7])


def test_a_weekly_count_is_told_per_seven_days() -> None:
    weekly = metric(Aggregate.COUNT, unit=Unit.COUNT, key="mr_throughput_wk")
    found = folded(weekly, [Member(1, 100, 130, 1), Member(1, 100, 130, 1)])
    assert found.value(0, 0) == Value(14, 30, 2)
    assert rounded(found.value(0, 0)) == "0.4667"


@pytest.mark.parametrize("of", [Aggregate.COUNT, Aggregate.MEAN, Aggregate.P50])
def test_nothing_is_zero_for_a_count_and_none_for_all_else(of: Aggregate) -> None:
    found = folded(metric(of), [])
    assert found.value(0, 0) == (Value(0, 1, 0) if of is Aggregate.COUNT else Value(None, None, 0))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value(1, 3, 1), "0.3333"),
        (Value(2, 3, 1), "0.6667"),
        (Value(1, 20_000, 1), "0.0001"),
        (Value(-1, 20_000, 1), "-0.0001"),
        (Value(99_999, 2_000_000_000, 1), "0.0000"),
        (Value(-1, 10**9, 1), "0.0000"),
        (Value(28 * 3_600_000, 3_600_000, 1), "28.0000"),
        (Value(None, None, 0), None),
    ],
)
def test_values_are_published_at_four_places_halves_away_from_zero(value: Value, text: str | None) -> None:
    assert rounded(value) == text


@given(st.integers(-(2**55), 2**55), st.integers(1, 2**62))
@example(2**55, 2**62)
@example(-1, 20_000)
def test_many_values_are_published_like_one(numerator: int, denominator: int) -> None:
    if abs(numerator) // denominator < 2**45:
        (units,) = published(np.array([numerator]), np.array([denominator])).tolist()
        assert told(units) == rounded(Value(numerator, denominator, 1))


def test_what_is_not_known_is_not_a_number_that_could_be() -> None:
    assert NONE < -(2**62)

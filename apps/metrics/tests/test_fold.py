"""The fold against the plainest way to say the same: list the sample of a day, then take the value."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.metrics.fold import Entry, Value, days_of, distinct, rounded, running_for, value_of
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Shape, Unit, Window

FIRST, LAST = 100, 130
END = 10**12


def metric(
    aggregate: Aggregate, *, unit: Unit = Unit.HOURS, shape: Shape = Shape.POINT, key: str = "x"
) -> Metric:
    return Metric(
        key=key, title="", unit=unit, window=Window.D30,
        competency=Competency.DEVOPS, better=Direction.NEITHER,
        definition="", aggregate=aggregate, entity="mr", shape=shape, rows="select",
    )  # fmt: skip


def values(of: Metric, entries: list[Entry], window: Window = Window.D30) -> dict[int, Value]:
    running = running_for(of)
    days = days_of(entries, running, first=FIRST, last=LAST)
    return {day: value_of(of, running, window=window, end_of_day_ms=END) for day in days}


def plainly(aggregate: Aggregate, sample: list[int]) -> Fraction | None:
    if aggregate is Aggregate.COUNT:
        return Fraction(sum(sample))
    if not sample:
        return None
    if aggregate is Aggregate.MEAN:
        return Fraction(sum(sample), len(sample))
    at = Fraction({Aggregate.P50: 5, Aggregate.P90: 9}[aggregate], 10) * (len(sample) - 1)
    low = sorted(sample)[int(at)]
    high = sorted(sample)[min(int(at) + 1, len(sample) - 1)]
    return low + (high - low) * (at - int(at))


entries = st.lists(
    st.builds(
        lambda enter, length, value: Entry(enter, enter + length, value),
        st.integers(FIRST - 40, LAST + 5),
        st.integers(0, 60),
        st.integers(0, 10**10),
    ),
    max_size=40,
)


@given(entries=entries, aggregate=st.sampled_from(Aggregate))
def test_every_day_has_the_value_of_the_entries_that_span_it(
    entries: list[Entry], aggregate: Aggregate
) -> None:
    for day, value in values(metric(aggregate, unit=Unit.COUNT), entries).items():
        sample = [entry.value for entry in entries if entry.enter <= day < entry.leave]
        expected = plainly(aggregate, sample)
        found = None if value.numerator is None else Fraction(value.numerator, value.denominator)
        assert found == expected


@given(entries=entries, aggregate=st.sampled_from([Aggregate.P50, Aggregate.P90]))
def test_an_age_is_the_end_of_the_day_less_its_since(entries: list[Entry], aggregate: Aggregate) -> None:
    aged = values(metric(aggregate, unit=Unit.COUNT, shape=Shape.AGE), entries)
    for day, value in aged.items():
        expected = plainly(aggregate, [END - e.value for e in entries if e.enter <= day < e.leave])
        assert (None if value.numerator is None else Fraction(value.numerator, value.denominator)) == expected


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(80, 140), st.integers(0, 1)), max_size=30))
def test_a_distinct_entity_counts_once_by_its_greatest_value(points: list[tuple[str, int, int]]) -> None:
    folded = values(metric(Aggregate.MEAN, unit=Unit.RATIO), distinct(points, days=30))
    for day, value in folded.items():
        inside = [(entity, one) for entity, at, one in points if day - 30 < at <= day]
        seen = {entity for entity, _ in inside}
        positive = {entity for entity, one in inside if one}
        assert value == (Value(len(positive), len(seen), len(seen)) if seen else Value(None, None, 0))


def test_entries_summed_beforehand_fold_like_single_ones() -> None:
    single = [Entry(100, 110, 3), Entry(100, 110, 4), Entry(105, 110, 5)]
    summed = [Entry(100, 110, 7, 2), Entry(105, 110, 5, 1)]
    mean = metric(Aggregate.MEAN)
    assert values(mean, single) == values(mean, summed)


def test_a_weekly_count_is_told_per_seven_days() -> None:
    weekly = metric(Aggregate.COUNT, unit=Unit.COUNT, key="mr_throughput_wk")
    found = values(weekly, [Entry(100, 130, 1), Entry(100, 130, 1)], window=Window.D30)
    assert found[100] == Value(14, 30, 2)
    assert rounded(found[100]) == "0.4667"


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

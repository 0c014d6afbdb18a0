"""Putting a sample's rows on days: when an entity enters a value and leaves it, by the shape of its row.

At the end the whole way from rows to values is held against METRICS.md section 4, read from instants.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import pytest
from django.db import connection
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from apps.metrics.fold import NEVER, Members, fold
from apps.metrics.placement import place_all
from apps.metrics.rollup import end_of_days
from apps.metrics.samples import parameters, placed_rows, read
from apps.metrics.tests import builders, plain_fold
from apps.metrics.tests.test_fold import metric
from apps.metrics.words import Aggregate, Shape, Unit, Window
from apps.orgmap.place import OrgMap
from tem import clock

pytestmark = pytest.mark.django_db
TWO = {1: "toman/exchange/trading/engine", 2: "toman/exchange/custody/vault"}
GROUPS = [[1, 2], [1], [2], []]


@pytest.fixture(autouse=True)
def _two_repos() -> None:
    builders.house(paths=TWO)
    place_all(org=OrgMap.load())


def spans(shape: Shape, rows: str, *, days: int = 30) -> list[tuple[str, str | None]]:
    """(enter, leave) of each row, in the order of their entities; asked for a year, from its first day on."""
    of = replace(metric(Aggregate.MEAN, shape=shape), rows=rows)
    asked = parameters(Window.D30, first=dt.date(2025, 1, 1), last=dt.date(2025, 12, 31))
    with connection.cursor() as cursor:
        cursor.execute(
            f"select enter, leave from ({placed_rows(of)}) r order by entity_id", {**asked, "days": days}
        )
        return [(day(enter), None if leave == NEVER else day(leave)) for enter, leave in cursor.fetchall()]


def day(number: int) -> str:
    return str(dt.date.fromordinal(number))


def mixed(*rows: tuple[str | None, str | None, str | None], days: int = 30) -> list[tuple[str, str | None]]:
    """Spans of rows (at, from_at, to_at), told in local time."""

    def literal(at: str | None) -> str:
        return f"'{builders.moment(at).isoformat()}'::timestamptz" if at else "null::timestamptz"

    selects = (
        f"select 1 as project_id, {number} as entity_id, {literal(at)} as at, {literal(start)} as from_at,"
        f" {literal(end)} as to_at, 1 as value"
        for number, (at, start, end) in enumerate(rows)
    )
    return spans(Shape.MIXED, " union all ".join(selects), days=days)


def test_a_mixed_row_with_an_instant_is_a_point_that_the_window_passes() -> None:
    assert mixed(("2025-09-04 10:00", None, None)) == [("2025-09-04", "2025-10-04")]
    assert mixed(("2025-09-04 00:00", None, None), days=7) == [("2025-09-04", "2025-09-11")]


def test_a_mixed_point_leaves_early_on_the_first_day_that_ends_at_or_after_its_end() -> None:
    ended = [("2025-09-04 10:00", None, end) for end in ("2025-09-10 12:00", "2025-09-10 00:00")]
    assert mixed(*ended) == [("2025-09-04", "2025-09-10"), ("2025-09-04", "2025-09-09")]
    assert mixed(("2025-09-04 10:00", None, "2025-12-24 12:00")) == [("2025-09-04", "2025-10-04")]


def test_a_mixed_row_without_an_instant_is_an_interval() -> None:
    assert mixed(
        (None, "2025-09-04 10:00", None),
        (None, "2025-09-04 10:00", "2025-12-24 12:00"),
        (None, "2025-09-05 00:00", "2025-09-06 00:00"),
    ) == [("2025-09-04", None), ("2025-09-04", "2025-12-24"), ("2025-09-04", "2025-09-05")]


def test_the_days_of_a_mixed_row_are_local_ones_on_both_days_of_the_clock_change() -> None:
    assert mixed(
        ("2025-10-26 23:30", None, "2025-10-27 00:30"),
        (None, "2025-03-30 23:30", "2025-03-31 00:30"),
    ) == [("2025-10-26", "2025-10-27"), ("2025-03-30", "2025-03-31")]


# --- from rows to values ---------------------------------------------------------------------------

START, FIRST, LAST = dt.date(2025, 10, 10), dt.date(2025, 10, 20), dt.date(2025, 11, 2)  # the clocks go back


class Row(NamedTuple):
    """A row of a sample in any shape; `to_at` may lie before the others, and project 3 is in no scope."""

    project: int
    entity: int
    at: dt.datetime
    to_at: dt.datetime | None
    is_point: bool
    value: int

    def sql(self, shape: Shape) -> str:
        at = f"timestamptz '{self.at.isoformat()}'"
        to = f"timestamptz '{self.to_at.isoformat()}'" if self.to_at else "null::timestamptz"
        unknown = "null::timestamptz"
        point, start = (at, unknown) if self.is_point else (unknown, at)
        times = {
            Shape.POINT: f"{at} as at, {self.value} as value",
            Shape.DISTINCT: f"{at} as at, {self.value % 2} as value",
            Shape.INTERVAL: f"{at} as from_at, {to} as to_at, {self.value} as value",
            Shape.AGE: f"{at} as from_at, {to} as to_at, {at} - interval '1 hour' as since",
            Shape.MIXED: f"{point} as at, {start} as from_at, {to} as to_at, {self.value} as value",
        }
        return f"select {self.project} as project_id, {self.entity} as entity_id, {times[shape]}"


def contributions(rows: list[Row], shape: Shape, *, of_day: dt.date, days: int) -> list[int]:
    """METRICS.md section 4, word for word: what is in the value of a day."""
    window = clock.window(of_day, days)
    end = window.until
    lasting = [row for row in rows if row.at <= end and (row.to_at is None or end < row.to_at)]
    if shape is Shape.INTERVAL:
        return [row.value for row in lasting]
    if shape is Shape.AGE:
        return [int((end - row.at + dt.timedelta(hours=1)).total_seconds()) * 1000 for row in lasting]
    inside = [row for row in rows if row.at in window]
    if shape is Shape.MIXED:
        ended = [row for row in inside if row.is_point and (row.to_at is None or end < row.to_at)]
        return [row.value for row in [*ended, *(row for row in lasting if not row.is_point)]]
    if shape is Shape.DISTINCT:
        seen = {(row.project, row.entity) for row in inside}
        return [max(r.value % 2 for r in inside if (r.project, r.entity) == one) for one in seen]
    return [row.value for row in inside]


instants = st.builds(
    lambda half_hours: clock.midnight(START) + dt.timedelta(minutes=30 * half_hours), st.integers(0, 48 * 26)
)
rows = st.lists(
    st.builds(
        Row, st.integers(1, 3), st.integers(1, 4), instants, st.none() | instants, st.booleans(),
        st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=30,
)  # fmt: skip


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(
    rows=rows, shape=st.sampled_from(Shape), how=st.sampled_from(Aggregate),
    window=st.sampled_from([Window.D1, Window.D7, Window.D30]),
)  # fmt: skip
def test_the_values_of_any_sample_are_those_of_its_instants(
    rows: list[Row], shape: Shape, how: Aggregate, window: Window
) -> None:
    if shape is Shape.DISTINCT and how.tenths is not None:
        how = Aggregate.MEAN  # its values are 0 and 1: nothing to take a percentile of
    window = Window.EOD if shape in (Shape.INTERVAL, Shape.AGE) else window
    of = metric(how, unit=Unit.COUNT, shape=shape)
    of = replace(of, rows=" union all ".join(row.sql(shape) for row in rows))
    sample = read(of, window=window, first=FIRST, last=LAST)
    (found,) = fold(
        [of], sample.entries, Members.of(GROUPS), window=window, first=FIRST.toordinal(),
        ends=end_of_days(FIRST, LAST),
    )  # fmt: skip
    for scope, projects in enumerate(GROUPS):
        own = [row for row in rows if row.project in projects]
        for column, at in enumerate(clock.days_between(FIRST, LAST)):
            told = contributions(own, shape, of_day=at, days=window.days)
            value = found.value(scope, column)
            exact = None if value.numerator is None else Fraction(value.numerator, value.denominator)
            assert exact == plain_fold.aggregate(how, told), (projects, at)

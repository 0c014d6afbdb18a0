"""Putting a sample's rows on days: when an entity enters a value and leaves it, by the shape of its row."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from django.db import connection

from apps.metrics.fold import NEVER
from apps.metrics.placement import place_all
from apps.metrics.samples import parameters, placed_rows
from apps.metrics.tests import builders
from apps.metrics.tests.test_fold import metric
from apps.metrics.words import Aggregate, Shape, Window
from apps.orgmap.place import OrgMap

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_repo() -> None:
    builders.house()
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

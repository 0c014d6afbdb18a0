"""Numbers in words."""

import datetime as dt
from decimal import Decimal

import pytest

from apps.exports.sparkline import sparkline
from apps.exports.wording import change, figure

DAY = dt.date(2025, 9, 4)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        ("21.2500", "h", "21.3 h"),
        ("12345.6", "h", "12 345.6 h"),
        ("0", "h", "0.0 h"),
        ("0.9250", "ratio", "92.5 %"),
        ("0.0005", "ratio", "0.1 %"),
        ("14", "count", "14"),
        ("2.5", "count", "2.5"),
        ("312.0500", "s", "312.1 s"),
    ],
)
def test_figures_carry_their_unit_and_round_half_up(value, unit, words):
    shown = figure(Decimal(value), unit)
    assert shown.replace("\u00a0", " ").replace("\u202f", " ") == words


@pytest.mark.parametrize(
    ("now", "before", "better", "verdict"),
    [("2", "1", "up", "better"), ("2", "1", "down", "worse"), ("1", "2", "down", "better"),
     ("1", "2", "up", "worse"), ("1", "2", "neither", ""), ("1", "1", "up", "unchanged")],
)  # fmt: skip
def test_a_move_is_judged_by_the_direction_of_its_metric(now, before, better, verdict):
    assert change(Decimal(now), Decimal(before), unit="h", better=better, since=DAY).verdict == verdict


def test_no_move_is_told_from_nothing():
    assert change(Decimal(1), None, unit="h", better="up", since=DAY) is None


def test_days_without_a_value_leave_a_gap_in_the_line():
    values = [Decimal(1), Decimal(3), None, Decimal(2), Decimal(2)]
    drawn = sparkline([(DAY + dt.timedelta(days=n), v) for n, v in enumerate(values)], unit="h")
    assert drawn.line.count("M") == 2
    assert drawn.label.replace("\u00a0", " ") == (
        "From 1.0 h on 4 September 2025 to 2.0 h on 8 September 2025; lowest 1.0 h, highest 3.0 h."
    )


@pytest.mark.parametrize("values", [[], [None, None], [Decimal(1)], [None, Decimal(1), None]])
def test_a_line_needs_two_values(values):
    assert sparkline([(DAY, value) for value in values], unit="h") is None


def test_a_flat_line_lies_in_the_middle():
    assert sparkline([(DAY, Decimal(5)), (DAY, Decimal(5))], unit="h").last[1] == 24

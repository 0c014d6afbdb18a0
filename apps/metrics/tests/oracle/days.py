"""Local days and windows, and the three ways in which a value is taken from a sample."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
HOUR = 3_600_000
LENGTHS = {"D1": 1, "D7": 7, "D30": 30, "D90": 90, "EOD": 1}
Value = tuple[Fraction | None, int]


@cache
def midnight(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=AMSTERDAM).timestamp()) * 1000


@cache
def end(day: dt.date) -> int:
    return midnight(day + dt.timedelta(days=1))


@cache
def begin(day: dt.date, window: str) -> int:
    return midnight(day - dt.timedelta(days=LENGTHS[window] - 1))


def percentile(sample: list[int], tenths: int, scale: int) -> Value:
    if not sample:
        return None, 0
    at = Fraction(tenths, 10) * (len(sample) - 1)
    low, ordered = int(at), sorted(sample)
    value = Fraction(ordered[low])
    if at != low:
        value += (ordered[low + 1] - ordered[low]) * (at - low)
    return value / scale, len(sample)


def mean(sample: list[int], scale: int) -> Value:
    return (Fraction(sum(sample), len(sample) * scale), len(sample)) if sample else (None, 0)

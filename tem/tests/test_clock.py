"""Days are Amsterdam days, 23 or 25 hours long twice a year."""

import datetime as dt

import pytest

from tem import clock


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2025-03-30", 23), ("2025-10-26", 25), ("2025-09-04", 24), ("2026-03-29", 23), ("2026-10-25", 25)],
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: str, hours: int) -> None:
    span = clock.window(dt.date.fromisoformat(day))
    assert span.until - span.since == dt.timedelta(hours=hours)


def test_half_past_ten_at_night_utc_is_the_next_day_in_summer() -> None:
    assert clock.day_of(dt.datetime(2025, 9, 4, 22, 30, tzinfo=dt.UTC)) == dt.date(2025, 9, 5)


def test_windows_are_half_open_and_end_with_their_day() -> None:
    span = clock.window(dt.date(2025, 9, 4), days=7)
    assert span == clock.Window(clock.midnight(dt.date(2025, 8, 29)), clock.midnight(dt.date(2025, 9, 5)))
    assert span.since in span and span.until not in span


def test_days_between_counts_both_ends() -> None:
    assert len(clock.days_between(dt.date(2025, 3, 29), dt.date(2025, 3, 31))) == 3
    assert clock.days_between(dt.date(2025, 3, 31), dt.date(2025, 3, 29)) == []

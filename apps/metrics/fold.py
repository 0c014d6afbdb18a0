"""From a sample to values: one fold for every metric, scope, window and day. Integers only; knows no SQL.

An entry is in the value of every day from `enter` until before `leave`. A point enters on its day and leaves
when the window has passed it; an interval enters and leaves with the ends of days that it spans. Days are
numbers (`date.toordinal`), so that a window is a subtraction.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from apps.metrics.words import Aggregate, Metric, Shape, Window

NEVER = 10**9
"""A day that does not come: the `leave` of what has not ended."""


class Entry(NamedTuple):
    """One contribution, or the sum of several that enter and leave together (`n` of them)."""

    enter: int
    leave: int
    value: int
    n: int = 1


class Value(NamedTuple):
    """An exact quotient; None, None where there is no sample. `n` is the size of the sample."""

    numerator: int | None
    denominator: int | None
    n: int


NOTHING = Value(None, None, 0)


class Running(Protocol):
    """A sample that changes from one day to the next."""

    @property
    def n(self) -> int: ...

    def add(self, value: int, n: int) -> None: ...

    def remove(self, value: int, n: int) -> None: ...


class Totals:
    """What adds up."""

    def __init__(self) -> None:
        self.total = self._n = 0

    @property
    def n(self) -> int:
        return self._n

    def add(self, value: int, n: int) -> None:
        self.total += value
        self._n += n

    def remove(self, value: int, n: int) -> None:
        self.total -= value
        self._n -= n


class Ordered:
    """What has to be kept in order, for percentiles."""

    def __init__(self) -> None:
        self.values: list[int] = []

    @property
    def n(self) -> int:
        return len(self.values)

    def add(self, value: int, n: int) -> None:
        insort(self.values, value)

    def remove(self, value: int, n: int) -> None:
        del self.values[bisect_left(self.values, value)]


def days_of(entries: Iterable[Entry], running: Running, *, first: int, last: int) -> Iterator[int]:
    """Bring `running` to the state of each day from `first` to `last`, and yield the day."""
    enters: dict[int, list[Entry]] = defaultdict(list)
    leaves: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        start = max(entry.enter, first)
        if start < entry.leave and start <= last:
            enters[start].append(entry)
            leaves[entry.leave].append(entry)
    for day in range(first, last + 1):
        for entry in leaves.get(day, ()):
            running.remove(entry.value, entry.n)
        for entry in enters.get(day, ()):
            running.add(entry.value, entry.n)
        yield day


def running_for(metric: Metric) -> Running:
    """What keeps the metric's sample: order only where the metric asks for it."""
    return Ordered() if metric.aggregate.tenths is not None else Totals()


def value_of(metric: Metric, running: Running, *, window: Window, end_of_day_ms: int) -> Value:
    """The metric's value over the sample as it stands. `end_of_day_ms`: for ages, the day's end in ms."""
    if metric.aggregate is Aggregate.COUNT:
        count = running.total if isinstance(running, Totals) else running.n
        return _count(metric, count, window=window)
    if not running.n:
        return NOTHING
    if isinstance(running, Ordered):
        return _percentile(metric, running.values, end_of_day_ms=end_of_day_ms)
    assert isinstance(running, Totals)
    return Value(running.total, running.n * metric.unit.scale, running.n)


def _count(metric: Metric, count: int, *, window: Window) -> Value:
    """A weekly count over another window is told per seven days."""
    if metric.is_weekly and window.days != 7:
        return Value(count * 7, window.days, count)
    return Value(count, 1, count)


def _percentile(metric: Metric, values: list[int], *, end_of_day_ms: int) -> Value:
    """Linear between two order statistics, as `percentile_cont` has it, without its doubles."""
    tenths = metric.aggregate.tenths
    assert tenths is not None
    whole, part = divmod(tenths * (len(values) - 1), 10)
    following = min(whole + 1, len(values) - 1)
    if metric.shape is Shape.AGE:  # the oldest has the smallest `since`
        low, high = (end_of_day_ms - values[-1 - at] for at in (whole, following))
    else:
        low, high = values[whole], values[following]
    return Value(low * (10 - part) + high * part, 10 * metric.unit.scale, len(values))


def distinct(points: Iterable[tuple[str, int, int]], *, days: int) -> list[Entry]:
    """(entity, day, 0 or 1) as entries in which an entity counts once a window, by its greatest value."""
    present: dict[str, set[int]] = defaultdict(set)
    positive: dict[str, set[int]] = defaultdict(set)
    for entity, day, value in points:
        present[entity].add(day)
        if value:
            positive[entity].add(day)
    entries = [Entry(a, b, 0, 1) for seen in present.values() for a, b in _spans(seen, days)]
    return entries + [Entry(a, b, 1, 0) for seen in positive.values() for a, b in _spans(seen, days)]


def _spans(seen: set[int], days: int) -> Iterator[tuple[int, int]]:
    """The days on which a window of so many days holds at least one of those seen."""
    start = end = None
    for day in sorted(seen):
        if start is None or end is None or day > end:
            if start is not None and end is not None:
                yield start, end
            start = day
        end = day + days
    if start is not None and end is not None:
        yield start, end


def rounded(value: Value) -> str | None:
    """The published value: four places, halves away from zero, exactly."""
    if value.numerator is None or value.denominator is None:
        return None
    numerator, denominator = abs(value.numerator), value.denominator
    units = (2 * numerator * 10_000 + denominator) // (2 * denominator)
    sign = "-" if value.numerator < 0 and units else ""
    return f"{sign}{units // 10_000}.{units % 10_000:04d}"

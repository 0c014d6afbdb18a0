"""From a sample to values: one fold for every metric, scope, window and day. Integers only; knows no SQL.

An entry is in the value of every day from `enter` until before `leave`. A point enters on its day and leaves
when the window has passed it; an interval enters and leaves with the ends of days that it spans. Days are
numbers (`date.toordinal`), so that a window is a subtraction. Every day of every scope is folded at once:
what adds up by sums of what enters and leaves, percentiles by two order statistics (`order.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from apps.metrics.intervals import NONE, Integers, ranks, wilson
from apps.metrics.order import Order
from apps.metrics.words import Aggregate, Metric, Shape, Unit, Window

NEVER = 10**9
"""A day that does not come: the `leave` of what has not ended."""

PLACES = 10_000
"""Published values are told in ten-thousandths."""


class Value(NamedTuple):
    """An exact quotient; None, None where there is no sample. `n` is the size of the sample."""

    numerator: int | None
    denominator: int | None
    n: int


NOTHING = Value(None, None, 0)


class Entries(NamedTuple):
    """Contributions as columns; one may be the sum of several that enter and leave together (`n` of them)."""

    project: Integers
    enter: Integers
    leave: Integers
    value: Integers
    n: Integers

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Entries:
        """From (project, enter, leave, value, n)."""
        return cls(*np.array(rows, dtype=np.int64).reshape(-1, len(cls._fields)).T)

    def within(self, projects: Integers) -> Entries:
        """Those of some projects."""
        chosen = np.isin(self.project, projects)
        return Entries(*(column[chosen] for column in self))


@dataclass(frozen=True)
class Members:
    """Which projects the scopes consist of: a project for each scope that it is in. Scopes are 0, 1, ..."""

    scopes: int
    scope: Integers
    project: Integers

    @classmethod
    def of(cls, groups: Sequence[Sequence[int]]) -> Members:
        """From the projects of each scope."""
        scope = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        project = np.array([project for group in groups for project in group], dtype=np.int64)
        by_project = np.argsort(project, kind="stable")
        return cls(len(groups), scope[by_project], project[by_project])

    def without(self, projects: Sequence[int]) -> Members:
        """The same scopes, made of other projects only."""
        kept = ~np.isin(self.project, np.array(projects, dtype=np.int64))
        return Members(self.scopes, self.scope[kept], self.project[kept])

    def spread(self, projects: Integers) -> tuple[Integers, Integers]:
        """(which, scope): every position in `projects` once for each scope that its project is in."""
        first = np.searchsorted(self.project, projects, side="left")
        times = np.searchsorted(self.project, projects, side="right") - first
        which = np.repeat(np.arange(len(projects)), times)
        begins = np.repeat(np.cumsum(times) - times, times)
        return which, self.scope[np.repeat(first, times) + np.arange(len(which)) - begins]


class Folded(NamedTuple):
    """A metric's values: a row for each scope, a column for each day. No value: `numerator` is NONE.

    `low` and `high` bound the true value with 95 % confidence, in ten-thousandths; NONE where the sample
    does not bound it, or where the metric is neither a ratio nor a percentile.
    """

    numerator: Integers
    denominator: Integers
    n: Integers
    low: Integers
    high: Integers

    def value(self, scope: int, day: int) -> Value:
        """One of them, by its row and column."""
        n = int(self.n[scope, day])
        if self.numerator[scope, day] == NONE:
            return Value(None, None, n)
        return Value(int(self.numerator[scope, day]), int(self.denominator[scope, day]), n)


def fold(
    metrics: Sequence[Metric],
    entries: Entries,
    members: Members,
    *,
    window: Window,
    first: int,
    ends: Integers,
) -> list[Folded]:
    """The values of metrics that share a sample, for every scope and every day from `first` on.

    `ends`: the instant that ends each of the days, in ms since 1970.
    """
    days = len(ends)
    enter, leave = (np.clip(at - first, 0, days) for at in (entries.enter, entries.leave))
    inside = enter < leave
    placed = Entries(entries.project[inside], enter[inside], leave[inside], entries.value[inside],
                     entries.n[inside])  # fmt: skip
    if metrics[0].aggregate.tenths is None:
        total, n = (_sums(placed, column, members, days) for column in (placed.value, placed.n))
        if metrics[0].shape is Shape.AGE:
            total = n * ends - total
        return [_added(metric, total, n, window) for metric in metrics]
    which, scope = members.spread(placed.project)
    order = Order(scope, *(column[which] for column in (placed.value, placed.enter, placed.leave)),
                  scopes=members.scopes, days=days)  # fmt: skip
    return [_percentile(metric, order, ends) for metric in metrics]


def _sums(placed: Entries, column: Integers, members: Members, days: int) -> Integers:
    """What a column adds up to, by scope and day: per project first, so that wide scopes cost no more."""
    projects, at = np.unique(placed.project, return_inverse=True)
    change = np.zeros((len(projects), days + 1), dtype=np.int64)
    np.add.at(change, (at, placed.enter), column)
    np.subtract.at(change, (at, placed.leave), column)
    of_projects = np.cumsum(change[:, :days], axis=1)
    which, scope = members.spread(projects)
    found = np.zeros((members.scopes, days), dtype=np.int64)
    np.add.at(found, scope, of_projects[which])
    return found


def _added(metric: Metric, total: Integers, n: Integers, window: Window) -> Folded:
    """A weekly count over another window is told per seven days."""
    unbounded = np.full_like(n, NONE)
    if metric.aggregate is Aggregate.COUNT:
        times, of = (7, window.days) if metric.is_weekly and window.days != 7 else (1, 1)
        return Folded(total * times, np.full_like(n, of), total, unbounded, unbounded)
    numerator = np.where(n > 0, total, NONE)
    low, high = wilson(total, n) if metric.unit is Unit.RATIO else (unbounded, unbounded)
    return Folded(numerator, n * metric.unit.scale, n, low, high)


def _percentile(metric: Metric, order: Order, ends: Integers) -> Folded:
    """Linear between two order statistics, as `percentile_cont` has it, without its doubles."""
    tenths, n = metric.aggregate.tenths, order.n
    assert tenths is not None
    known = n > 0
    whole, part = np.divmod(tenths * np.maximum(n - 1, 0), 10)

    def at(rank: Integers, where: Integers) -> Integers:
        if metric.shape is Shape.AGE:  # the oldest has the smallest `since`
            return ends - order.at(n - 1 - rank, where=where)
        return order.at(rank, where=where)

    below = at(whole, known)
    above = np.where(part > 0, at(whole + 1, known & (part > 0)), below)
    numerator = np.where(known, below * (10 - part) + above * part, NONE)
    bounds = []
    for rank in ranks(n, tenths=tenths):
        bounded = known & (rank != NONE)
        bounds.append(np.where(bounded, published(at(rank, bounded), metric.unit.scale), NONE))
    return Folded(numerator, np.full_like(n, 10 * metric.unit.scale), n, *bounds)


_SMALL = 2**62 // (2 * PLACES)


def published(numerator: Integers, denominator: Integers | int) -> Integers:
    """Quotients in ten-thousandths, halves away from zero, exactly. Defined where the denominator is > 0."""
    divisor = np.maximum(denominator, 1)
    if np.max(divisor, initial=0) > _SMALL:
        divisor = divisor.astype(object)  # Python's integers have no end
    size = np.abs(numerator)
    whole, rest = size // divisor, size % divisor
    units = whole * PLACES + (2 * PLACES * rest + divisor) // (2 * divisor)
    return (np.sign(numerator) * units).astype(np.int64)


def rounded(value: Value) -> str | None:
    """The published value: four places, halves away from zero, exactly."""
    if value.numerator is None or value.denominator is None:
        return None
    numerator, denominator = abs(value.numerator), value.denominator
    units = (2 * numerator * PLACES + denominator) // (2 * denominator)
    return told(-units if value.numerator < 0 else units)


def told(units: int) -> str:
    """Ten-thousandths as a number with four places."""
    sign = "-" if units < 0 else ""
    return f"{sign}{abs(units) // PLACES}.{abs(units) % PLACES:04d}"

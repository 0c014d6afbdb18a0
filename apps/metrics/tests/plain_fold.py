"""The fold said as plainly as it can be: list the sample of a day, then take the value. Slow and obvious."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from apps.metrics.words import Aggregate


class Member(NamedTuple):
    """One contribution of a project, on the days from `enter` until before `leave`."""

    project: int
    enter: int
    leave: int
    value: int


def sample(members: Iterable[Member], *, projects: Iterable[int], day: int) -> list[int]:
    """The contributions that count on a day."""
    own = set(projects)
    return [m.value for m in members if m.project in own and m.enter <= day < m.leave]


def aggregate(how: Aggregate, values: list[int]) -> Fraction | None:
    """The exact value of a sample."""
    if how is Aggregate.COUNT:
        return Fraction(sum(values))
    if not values:
        return None
    if how is Aggregate.MEAN:
        return Fraction(sum(values), len(values))
    at = Fraction({Aggregate.P50: 5, Aggregate.P90: 9}[how], 10) * (len(values) - 1)
    low = sorted(values)[int(at)]
    high = sorted(values)[min(int(at) + 1, len(values) - 1)]
    return low + (high - low) * (at - int(at))

"""A line of up to 90 days, drawn on the server: a picture for the eye and a sentence for everybody else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.exports.wording import figure

WIDTH, HEIGHT, EDGE = 240, 48, 4
Point = tuple[dt.date, Decimal | None]


@dataclass(frozen=True)
class Sparkline:
    """SVG path data in a box of WIDTH x HEIGHT; days without a value leave a gap."""

    line: str
    last: tuple[float, float]
    label: str
    width: int = WIDTH
    height: int = HEIGHT


def sparkline(points: Sequence[Point], *, unit: str) -> Sparkline | None:
    """The line through `points`, oldest first; None with fewer than two values."""
    known = [(place, value) for place, (_, value) in enumerate(points) if value is not None]
    if len(known) < 2:
        return None
    low, high = min(v for _, v in known), max(v for _, v in known)
    spots = {place: _spot(place, value, count=len(points), low=low, high=high) for place, value in known}
    steps = [f"{'L' if place - 1 in spots else 'M'}{x:g} {y:g}" for place, (x, y) in spots.items()]
    first, last = points[known[0][0]], points[known[-1][0]]
    label = (
        f"From {_said(first, unit)} to {_said(last, unit)}; "
        f"lowest {figure(low, unit)}, highest {figure(high, unit)}."
    )
    return Sparkline(line="".join(steps), last=spots[known[-1][0]], label=label)


def _spot(place: int, value: Decimal, *, count: int, low: Decimal, high: Decimal) -> tuple[float, float]:
    x = EDGE + place * (WIDTH - 2 * EDGE) / max(count - 1, 1)
    share = float((value - low) / (high - low)) if high > low else 0.5
    return round(x, 1), round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)


def _said(point: Point, unit: str) -> str:
    day, value = point
    assert value is not None
    return f"{figure(value, unit)} on {day:%-d %B %Y}"

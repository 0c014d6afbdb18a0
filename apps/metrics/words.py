"""The words in which the metric table speaks: units, windows, competencies, ways to fold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Unit(StrEnum):
    """What a published value is in."""

    HOURS = "h"
    SECONDS = "s"
    RATIO = "ratio"
    COUNT = "count"

    @property
    def scale(self) -> int:
        """Contributions per unit: durations are folded in milliseconds."""
        return {"h": 3_600_000, "s": 1_000}.get(self.value, 1)


class Window(StrEnum):
    """The local days that a value looks at: so many that end with its day, or the end of that day."""

    D1 = "D1"
    D7 = "D7"
    D30 = "D30"
    D90 = "D90"
    EOD = "EOD"

    @property
    def days(self) -> int:
        """How many days the window spans; the end of a day lies in that day."""
        return 1 if self is Window.EOD else int(self.value[1:])


class Competency(Enum):
    """The pillars of the competency framework, by their full names."""

    DEVOPS = "DevOps"
    GIT = "Git & GitOps"
    CODE_REVIEW = "Coding & Code Review"
    OBSERVABILITY = "Observability & Optimization"


class Direction(Enum):
    """Which way is better."""

    HIGHER = "up"
    LOWER = "down"
    NEITHER = "neither"


class Aggregate(Enum):
    """How contributions become a value. A ratio is the mean of 0s and 1s."""

    COUNT = "count"
    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"

    @property
    def tenths(self) -> int | None:
        """The percentile in tenths; None for what adds up."""
        return {"p50": 5, "p90": 9}.get(self.value)


class Shape(Enum):
    """What a row of a sample says of time (METRICS.md section 4)."""

    POINT = "point"  # project_id, entity_id, at, value
    INTERVAL = "interval"  # project_id, entity_id, from_at, to_at, value
    AGE = "age"  # project_id, entity_id, from_at, to_at, since: its value on a day is EOD - since
    DISTINCT = "distinct"  # project_id, entity_id, at, value: an entity counts once, by its greatest value
    # project_id, entity_id, at, from_at, to_at, value: with `at` a point, which leaves at `to_at` if that is
    # sooner than its window; without it an interval. For what counts while it lasts and when it has ended.
    MIXED = "mixed"


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, what it means, and the SQL of its sample.

    `rows` yields the sample and knows no window, scope or day; `value` is an integer: ms, or 0 and 1.
    `needs` names the entities of the endpoint table without which a project cannot be measured.
    `unmeasured` is SQL for (project_id, reason) of further projects that cannot be measured.
    A metric without `rows` is defined, but not computed yet: it never has a value.
    `sums` is the same sample added up already where entities are many: (project_id, at, value, n).
    `left_out` is SQL for (project_id, entity_id, at, reason) of entities of its kind that it did not count,
    for people to find; without it the findings about entities of that kind are told.
    `extra`: not of the inventory; another reading of the same facts, or another firm's definition.
    """

    key: str
    title: str
    unit: Unit
    window: Window
    competency: Competency
    better: Direction
    definition: str
    aggregate: Aggregate
    entity: str
    rows: str = ""
    shape: Shape = Shape.POINT
    min_sample: int = 5
    needs: tuple[str, ...] = ()
    unmeasured: str = ""
    sums: str = ""
    left_out: str = ""
    extra: bool = False

    @property
    def is_weekly(self) -> bool:
        """Whether a count is told per seven days, whatever its window (METRICS.md section 1)."""
        return self.key.endswith("_wk")

    @property
    def has_interval(self) -> bool:
        """Whether its values come with an interval: shares and percentiles of a sample do."""
        return self.aggregate.tenths is not None or (
            self.aggregate is Aggregate.MEAN and self.unit is Unit.RATIO
        )

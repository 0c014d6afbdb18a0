"""Why this number: the sample of a value, entity by entity. The same rows and the same fold, taken apart."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from apps.collector.models import Project
from apps.metrics.entities import shown
from apps.metrics.fold import NOTHING, Entries, Members, Value, fold, rounded, told
from apps.metrics.intervals import NONE
from apps.metrics.left_out import LeftOut, left_out
from apps.metrics.models import Scope
from apps.metrics.registry import by_key
from apps.metrics.rollup import end_of_days, history_start, projects_by_scope
from apps.metrics.samples import entities, read
from apps.metrics.signals import NO_SIGNAL, signals_of
from apps.metrics.words import Aggregate, Metric, Shape, Unit, Window
from tem import clock


@dataclass(frozen=True)
class Entity:
    """One member of the sample. `value` is its contribution as folded: ms for durations, else 0 or 1.

    `signal` says what decided where the facts keep it, `rules_version` by which rules.
    """

    project: str
    entity_id: str
    label: str
    url: str
    at: dt.datetime | None
    value: int
    contribution: str
    signal: str = ""
    rules_version: int | None = None

    @property
    def when(self) -> str:
        """When it happened, on the clock of the reader's zone."""
        return f"{self.at.astimezone(clock.zone()):%Y-%m-%d %H:%M}" if self.at else ""


@dataclass(frozen=True)
class Evidence:
    """A value added up again from its entities, with what was left out and why.

    `reason`: why there is no value, as it is stored; the entities that are known are listed all the same.
    `low_units` and `high_units` are its 95 % interval in ten-thousandths.
    """

    metric: Metric
    scope: str
    day: dt.date
    window: Window
    exact: Value
    low_units: int | None = None
    high_units: int | None = None
    reason: str = ""
    entities: list[Entity] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def value(self) -> Decimal | None:
        """The value at four places, as it is published."""
        text = rounded(self.exact)
        return None if text is None else Decimal(text)

    @property
    def low(self) -> Decimal | None:
        """The lower end of the 95 % interval, as it is published; None where the sample has none."""
        return None if self.low_units is None else Decimal(told(self.low_units))

    @property
    def high(self) -> Decimal | None:
        """The upper end likewise."""
        return None if self.high_units is None else Decimal(told(self.high_units))

    @property
    def n(self) -> int:
        return self.exact.n

    @property
    def rules_versions(self) -> list[int]:
        """The versions of the rules by which its entities were judged; usually one."""
        return sorted({one.rules_version for one in self.entities if one.rules_version is not None})


_Exact = tuple[Value, int | None, int | None]
"""A value and its interval, in ten-thousandths."""
_NO_VALUE: _Exact = (NOTHING, None, None)


def evidence(metric_key: str, scope_key: str, day: dt.date, window: str | None = None) -> Evidence:
    """The sample of one value. `scope_key` as in addresses; `window` other than the default by name.

    Raises KeyError for an unknown metric, Scope.DoesNotExist for an unknown scope, ValueError for a window
    that the metric does not have.
    """
    metric = by_key(metric_key)
    scope = Scope.objects.get(key=scope_key)
    chosen = _window(metric, window)
    projects = projects_by_scope().get(scope.pk, [])
    paths = dict(Project.objects.filter(pk__in=projects).values_list("pk", "path_with_namespace"))
    unmeasured = read(metric, window=chosen, first=day, last=day, projects=projects).unmeasured
    missing = [LeftOut(paths[p], unmeasured[p]) for p in projects if p in unmeasured]
    measured = {p: paths[p] for p in projects if p not in unmeasured}
    rows = entities(metric, window=chosen, day=day, projects=measured)
    counted = {(project, entity) for project, entity, _ in rows}
    found = _folded(metric, rows, chosen, day) if measured or not projects else _NO_VALUE
    reason = why(found[0], sorted(one.reason for one in missing))
    if _begins_before_history(chosen, day) and (measured or not missing) and metric.rows:
        found, reason = _NO_VALUE, "before_history"
    return Evidence(
        metric, scope_key, day, chosen, *found,
        reason=reason,
        entities=_entities(metric, rows, day=day),
        left_out=missing + left_out(metric, window=chosen, day=day, counted=counted, paths=measured),
    )  # fmt: skip


def _window(metric: Metric, asked: str | None) -> Window:
    chosen = Window(asked) if asked else metric.window
    if (chosen is Window.EOD) != (metric.window is Window.EOD):
        raise ValueError(f"{metric.key} has no window {chosen}: its own is {metric.window}.")
    return chosen


def _begins_before_history(window: Window, day: dt.date) -> bool:
    start = history_start()
    return start is not None and day - dt.timedelta(days=window.days - 1) < start


def _folded(metric: Metric, rows: list[tuple[int, str, int]], window: Window, day: dt.date) -> _Exact:
    if not metric.rows:
        return _NO_VALUE
    number = day.toordinal()
    entries = Entries.of([(0, number, number + 1, value, 1) for *_, value in rows])
    ends = end_of_days(day, day)
    (found,) = fold([metric], entries, Members.of([[0]]), window=window, first=number, ends=ends)
    low, high = (None if end[0, 0] == NONE else int(end[0, 0]) for end in (found.low, found.high))
    return found.value(0, 0), low, high


def why(value: Value, missing: list[str]) -> str:
    """Why there is no value: a project that cannot be measured explains it better than an empty window."""
    if value.numerator is not None:
        return ""
    return missing[0] if missing else "no_sample"


def _entities(metric: Metric, rows: list[tuple[int, str, int]], *, day: dt.date) -> list[Entity]:
    by_project: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for project, entity, value in rows:
        by_project[project].append((entity, value))
    listed = []
    for owner in Project.objects.filter(pk__in=by_project).order_by("path_with_namespace"):
        members = by_project[owner.pk]
        ids = [entity for entity, _ in members]
        seen = shown(metric.entity, project=owner.pk, web_url=owner.web_url or "", ids=ids)
        signals = signals_of(metric.entity, project=owner.pk, ids=ids)
        for entity, value in members:
            label, url, at = seen.get(entity, (entity, "", None))
            own = int(end_of_days(day, day)[0]) - value if metric.shape is Shape.AGE else value
            amount = contribution(metric, own)
            said = signals.get(entity, NO_SIGNAL)
            listed.append(Entity(owner.path_with_namespace, entity, label, url, at, own, amount, *said))
    return listed


def contribution(metric: Metric, value: int) -> str:
    """A contribution in the metric's unit, for people."""
    if metric.unit in (Unit.HOURS, Unit.SECONDS):
        return f"{rounded(Value(value, metric.unit.scale, 1))} {metric.unit}"
    if metric.aggregate is Aggregate.COUNT:
        return "1"
    return "yes" if value else "no"

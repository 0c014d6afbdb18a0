"""Why this number: the sample of a value, entity by entity. The same rows and the same fold, taken apart."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from apps.collector.models import Project
from apps.metrics.entities import shown
from apps.metrics.fold import NOTHING, Entries, Members, Value, fold, rounded
from apps.metrics.models import Finding, Scope
from apps.metrics.registry import by_key
from apps.metrics.rollup import end_of_day_ms, history_start, projects_by_scope
from apps.metrics.samples import entities, read
from apps.metrics.words import Aggregate, Metric, Shape, Unit, Window
from tem import clock


@dataclass(frozen=True)
class Entity:
    """One member of the sample. `value` is its contribution as folded: ms for durations, else 0 or 1."""

    project: str
    entity_id: str
    label: str
    url: str
    at: dt.datetime | None
    value: int
    contribution: str

    @property
    def when(self) -> str:
        """When it happened, on the clock of the reader's zone."""
        return f"{self.at.astimezone(clock.zone()):%Y-%m-%d %H:%M}" if self.at else ""


@dataclass(frozen=True)
class Evidence:
    """A value added up again from its entities, with what was left out and why.

    `reason`: why there is no value, as it is stored; the entities that are known are listed all the same.
    """

    metric: Metric
    scope: str
    day: dt.date
    window: Window
    exact: Value
    reason: str = ""
    entities: list[Entity] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @property
    def value(self) -> Decimal | None:
        """The value at four places, as it is published."""
        text = rounded(self.exact)
        return None if text is None else Decimal(text)

    @property
    def n(self) -> int:
        return self.exact.n


def evidence(metric_key: str, scope_key: str, day: dt.date, window: str | None = None) -> Evidence:
    """The sample of one value. `scope_key` as in addresses; `window` other than the default by name.

    Raises KeyError for an unknown metric, Scope.DoesNotExist for an unknown scope, ValueError for a window
    that the metric does not have.
    """
    metric = by_key(metric_key)
    scope = Scope.objects.get(key=scope_key)
    chosen = _window(metric, window)
    projects = projects_by_scope().get(scope.pk, [])
    unmeasured = read(metric, window=chosen, first=day, last=day, projects=projects).unmeasured
    measured = [project for project in projects if project not in unmeasured]
    rows = entities(metric, window=chosen, day=day, projects=measured)
    paths = dict(Project.objects.filter(pk__in=projects).values_list("pk", "path_with_namespace"))
    left_out = [(paths[project], unmeasured[project]) for project in projects if project in unmeasured]
    exact = _folded(metric, rows, chosen, day) if measured or not projects else NOTHING
    reason = why(exact, sorted(reason for _, reason in left_out))
    if _begins_before_history(chosen, day) and (measured or not left_out) and metric.rows:
        exact, reason = NOTHING, "before_history"
    return Evidence(
        metric=metric,
        scope=scope_key,
        day=day,
        window=chosen,
        exact=exact,
        reason=reason,
        entities=_entities(metric, rows, day=day),
        left_out=left_out + _found(metric, measured, paths),
    )


def _window(metric: Metric, asked: str | None) -> Window:
    chosen = Window(asked) if asked else metric.window
    if (chosen is Window.EOD) != (metric.window is Window.EOD):
        raise ValueError(f"{metric.key} has no window {chosen}: its own is {metric.window}.")
    return chosen


def _begins_before_history(window: Window, day: dt.date) -> bool:
    start = history_start()
    return start is not None and day - dt.timedelta(days=window.days - 1) < start


def _folded(metric: Metric, rows: list[tuple[int, str, int]], window: Window, day: dt.date) -> Value:
    if not metric.rows:
        return NOTHING
    number = day.toordinal()
    entries = Entries.of([(0, number, number + 1, value, 1) for *_, value in rows])
    ends = np.array([end_of_day_ms(day)], dtype=np.int64)
    (found,) = fold([metric], entries, Members.of([[0]]), window=window, first=number, ends=ends)
    return found.value(0, 0)


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
        for entity, value in members:
            label, url, at = seen.get(entity, (entity, "", None))
            own = end_of_day_ms(day) - value if metric.shape is Shape.AGE else value
            listed.append(
                Entity(owner.path_with_namespace, entity, label, url, at, own, contribution(metric, own))
            )
    return listed


def contribution(metric: Metric, value: int) -> str:
    """A contribution in the metric's unit, for people."""
    if metric.unit in (Unit.HOURS, Unit.SECONDS):
        return f"{rounded(Value(value, metric.unit.scale, 1))} {metric.unit}"
    if metric.aggregate is Aggregate.COUNT:
        return "1"
    return "yes" if value else "no"


def _found(metric: Metric, projects: list[int], paths: dict[int, str]) -> list[tuple[str, str]]:
    """Entities that a guard took out of samples of this kind."""
    findings = Finding.objects.filter(project__in=projects, entity=metric.entity).order_by(
        "project_id", "entity_id"
    )
    return [(f"{paths[f.project_id]} {f.entity} {f.entity_id}", f.kind) for f in findings[:500]]

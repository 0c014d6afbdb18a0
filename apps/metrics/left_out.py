"""What a reader might look for in a sample and does not find, with the reason: guard, missing input, bot."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass

from django.db import connection

from apps.collector.models import Project
from apps.metrics.entities import shown
from apps.metrics.models import Finding
from apps.metrics.samples import parameters
from apps.metrics.words import Metric, Window

MOST = 500
"""Entities that are told for one value."""


@dataclass(frozen=True)
class LeftOut:
    """A project (no `entity_id`) or one of its entities, and why it is not in the sample."""

    project: str
    reason: str
    kind: str = ""
    entity_id: str = ""
    label: str = ""
    url: str = ""

    @property
    def what(self) -> str:
        """The project, or the entity in it, in words."""
        return " ".join(part for part in (self.project, self.kind, self.label or self.entity_id) if part)


# The first day on which it could have counted decides whether it belongs to a window.
_WITHIN = """
    select project_id, entity_id::text, reason
      from ({rows}) r
     where project_id = any(%(projects)s) and at < %(until)s and ({always} or at >= %(since)s)
     order by project_id, at, entity_id
     limit {most}
"""


def left_out(
    metric: Metric,
    *,
    window: Window,
    day: dt.date,
    counted: Set[tuple[int, str]],
    paths: Mapping[int, str],
) -> list[LeftOut]:
    """Entities that the metric did not count on that day, of its window; at most 500.

    `counted`: (project, entity) of those that it did. `paths`: the measured projects, by their numbers.
    """
    rows = (
        _of_metric(metric, window, day, list(paths))
        if metric.left_out
        else _found(metric, counted, list(paths))
    )
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for project, entity, reason in rows:
        found[project].append((entity, reason))
    return [
        one
        for owner in Project.objects.filter(pk__in=found).order_by("path_with_namespace")
        for one in _told(metric, owner, found[owner.pk], paths[owner.pk])
    ]


def _of_metric(
    metric: Metric, window: Window, day: dt.date, projects: list[int]
) -> list[tuple[int, str, str]]:
    sql = _WITHIN.format(rows=metric.left_out, always=window is Window.EOD, most=MOST)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters(window, first=day, last=day, projects=projects))
        return cursor.fetchall()


def _found(metric: Metric, counted: Set[tuple[int, str]], projects: list[int]) -> list[tuple[int, str, str]]:
    """What a guard found about entities of the kind. It may have been a guard of another metric."""
    rows = (
        Finding.objects.filter(project__in=projects, entity=metric.entity)
        .order_by("project_id", "entity_id")
        .values_list("project_id", "entity_id", "kind")
    )
    return [row for row in rows if row[:2] not in counted][:MOST]


def _told(metric: Metric, owner: Project, rows: list[tuple[str, str]], path: str) -> list[LeftOut]:
    seen = shown(
        metric.entity, project=owner.pk, web_url=owner.web_url or "", ids=[entity for entity, _ in rows]
    )
    return [
        LeftOut(
            path, reason, metric.entity, entity,
            *((seen[entity].label, seen[entity].url) if entity in seen else ()),
        )
        for entity, reason in rows
    ]  # fmt: skip

"""Reading samples: the metric's own rows, put on days. The one place where a sample meets the database."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.metrics.fold import NEVER, Entry, distinct
from apps.metrics.words import Metric, Shape, Window
from tem import clock

# An entity is in the value at the end of day D if from <= EOD(D) < to. EOD(D) is the midnight that ends D, so
# the first such day is that of the instant just before `from`, and `to` ends it likewise.
_DAY_OF_AT = "(r.at at time zone %(zone)s)::date"
_FIRST_END_OF = "((r.{} - interval '1 microsecond') at time zone %(zone)s)::date"
_FROM, _TO = _FIRST_END_OF.format("from_at"), _FIRST_END_OF.format("to_at")
_PASSED = f"{_DAY_OF_AT} + %(days)s"
_ENTER_LEAVE = {
    Shape.POINT: (_DAY_OF_AT, _PASSED),
    Shape.DISTINCT: (_DAY_OF_AT, _PASSED),
    Shape.INTERVAL: (_FROM, _TO),
    Shape.AGE: (_FROM, _TO),
    Shape.MIXED: (f"coalesce({_DAY_OF_AT}, {_FROM})", f"least({_PASSED}, {_TO})"),  # least() skips nulls
}
_VALUE = {Shape.AGE: "(extract(epoch from r.since) * 1000)::bigint"}


@dataclass(frozen=True)
class Sample:
    """A metric's entries by project, and why some projects have none."""

    entries: dict[int, list[Entry]] = field(default_factory=dict)
    unmeasured: dict[int, str] = field(default_factory=dict)


def placed_rows(metric: Metric) -> str:
    """SQL: each row of the sample with project, entity, `enter` and `leave` as dates, and its value.

    Needs the parameters `zone` and `days`.
    """
    enter, leave = _ENTER_LEAVE[metric.shape]
    return f"""
        select r.project_id,
               r.entity_id::text as entity_id,
               {enter} as enter,
               {leave} as leave,
               ({_VALUE.get(metric.shape, "r.value")})::bigint as value
          from ({metric.rows}) r
          join placed_project using (project_id)
    """


def read(
    metric: Metric, *, window: Window, first: dt.date, last: dt.date, projects: Iterable[int] | None = None
) -> Sample:
    """What any day from `first` to `last` looks at of the sample, summed where the metric adds up."""
    unmeasured = _unmeasured(metric)
    if not metric.rows:
        return Sample(unmeasured=unmeasured)
    parameters = _parameters(window, first=first, last=last, projects=projects)
    if metric.shape is Shape.DISTINCT:
        return Sample(_distinct(metric, parameters, days=window.days), unmeasured)
    adds_up = metric.aggregate.tenths is None
    what = "sum(value)::bigint, count(*)" if adds_up else "value, 1"
    grouped = "group by project_id, enter, leave" if adds_up else ""
    entries: dict[int, list[Entry]] = defaultdict(list)
    for project, enter, leave, value, n in _rows(
        f"select project_id, enter, leave, {what} from ({placed_rows(metric)}) r where {_IN_RANGE} {grouped}",
        parameters,
    ):
        entries[project].append(Entry(enter.toordinal(), leave.toordinal() if leave else NEVER, value, n))
    return Sample(entries, unmeasured)


_IN_RANGE = """enter <= %(last)s and (leave is null or leave > greatest(enter, %(first)s))
           and (%(projects)s::bigint[] is null or project_id = any(%(projects)s))"""


def _parameters(
    window: Window, *, first: dt.date, last: dt.date, projects: Iterable[int] | None
) -> dict[str, Any]:
    chosen = None if projects is None else list(projects)
    return {"zone": clock.zone().key, "days": window.days, "first": first, "last": last, "projects": chosen}


def _distinct(metric: Metric, parameters: dict[str, Any], *, days: int) -> dict[int, list[Entry]]:
    points: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
    sql = f"select project_id, entity_id, enter, value from ({placed_rows(metric)}) r where {_IN_RANGE}"
    for project, entity, day, value in _rows(sql, parameters):
        points[project].append((entity, day.toordinal(), value))
    return {project: distinct(found, days=days) for project, found in points.items()}


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def entities(
    metric: Metric, *, window: Window, day: dt.date, projects: Iterable[int]
) -> list[tuple[int, str, int]]:
    """(project, entity, contribution) of everything in the value of one day: the same rows, unfolded."""
    if not metric.rows:
        return []
    parameters = _parameters(window, first=day, last=day, projects=projects)
    what = "max(value)" if metric.shape is Shape.DISTINCT else "value"
    grouped = "group by project_id, entity_id" if metric.shape is Shape.DISTINCT else ""
    sql = f"""select project_id, entity_id, {what} from ({placed_rows(metric)}) r where {_IN_RANGE} {grouped}
               order by project_id, entity_id"""
    return [(project, entity, value) for project, entity, value in _rows(sql, parameters)]


_REFUSED = """
    select s.level_id, min(s.unavailable)
      from ingestion_state s
     where s.level = 'project' and s.entity = any(%(needs)s) and s.unavailable <> ''
     group by s.level_id
    union all
    select project_id, 'no_access' from exclusion where reason in ('no_access', 'pending_deletion')
    union all
    select project_id, 'feature_disabled'
      from exclusion
     where reason = 'merge_requests_disabled' and 'merge_requests' = any(%(needs)s)
"""


def _unmeasured(metric: Metric) -> dict[int, str]:
    """Projects whose part of the sample GitLab does not tell, and why."""
    further = f"union all ({metric.unmeasured})" if metric.unmeasured else ""
    return dict(reversed(_rows(f"{_REFUSED} {further}", {"needs": list(metric.needs)})))

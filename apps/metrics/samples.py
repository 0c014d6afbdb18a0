"""Reading samples: the metric's own rows, put on days. The one place where a sample meets the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.metrics.binary import columns_of
from apps.metrics.fold import NEVER, Entries
from apps.metrics.words import Metric, Shape, Window
from tem import clock

# Days are numbers, counted by the midnights that begin them: %(before)s is the day before the first of those.
# An entity is in the value at the end of day D if from <= EOD(D) < to. EOD(D) is the midnight that ends D, so
# the first such day is that of the instant just before `from`, and `to` ends it likewise.
_DAY_OF_AT = "%(before)s + width_bucket(r.at, %(midnights)s::timestamptz[])"
_FIRST_END_OF = "%(before)s + width_bucket(r.{} - interval '1 microsecond', %(midnights)s::timestamptz[])"
_FROM, _TO = _FIRST_END_OF.format("from_at"), _FIRST_END_OF.format("to_at")
_PASSED = f"{_DAY_OF_AT} + %(days)s"
_ENTER_LEAVE = {
    Shape.POINT: (_DAY_OF_AT, _PASSED),
    Shape.DISTINCT: (_DAY_OF_AT, _PASSED),
    Shape.INTERVAL: (_FROM, f"coalesce({_TO}, {NEVER})"),
    Shape.AGE: (_FROM, f"coalesce({_TO}, {NEVER})"),
    Shape.MIXED: (f"coalesce({_DAY_OF_AT}, {_FROM})", f"coalesce(least({_PASSED}, {_TO}), {NEVER})"),
}  # least() skips nulls
# Whether some day that is asked for looks at it: in instants, so that an index can be used; and in days,
# where instants alone do not settle it.
_NEAR_POINT = "r.at >= %(since)s and r.at < %(until)s"
_NEAR_INTERVAL = "r.from_at <= %(until)s and (r.to_at is null or r.to_at > %(since)s)"
_NEAR = {
    Shape.POINT: _NEAR_POINT,
    Shape.DISTINCT: _NEAR_POINT,
    Shape.INTERVAL: _NEAR_INTERVAL,
    Shape.AGE: _NEAR_INTERVAL,
    Shape.MIXED: "true",
}
_ON_SOME_DAY = "enter <= %(last)s and leave > greatest(enter, %(first)s)"
_SETTLED = (Shape.POINT, Shape.DISTINCT)
_VALUE = {Shape.AGE: "(extract(epoch from r.since) * 1000)"}


@dataclass(frozen=True)
class Sample:
    """A metric's entries, and why some projects have none."""

    entries: Entries
    unmeasured: dict[int, str] = field(default_factory=dict)


def placed_rows(metric: Metric) -> str:
    """SQL: each row of the sample with project, entity, `enter` and `leave` as numbers of days, and value.

    Only rows that some day of those asked for looks at. Its parameters are those of `parameters`.
    """
    return _placed(metric, metric.rows, entity="entity_id::text")


def _placed(metric: Metric, rows: str, *, entity: str) -> str:
    enter, leave = _ENTER_LEAVE[metric.shape]
    name = entity.partition("::")[0]
    return f"""
        select project_id, {name}, enter, leave, value
          from (
              select r.project_id,
                     r.{entity} as {name},
                     {enter} as enter,
                     {leave} as leave,
                     ({_VALUE.get(metric.shape, "r.value")})::bigint as value
                from ({rows}) r
                join placed_project using (project_id)
               where {_NEAR[metric.shape]}
                 and (%(projects)s::bigint[] is null or r.project_id = any(%(projects)s::bigint[]))
          ) placed
         where {"true" if metric.shape in _SETTLED else _ON_SOME_DAY}
    """


def parameters(
    window: Window, *, first: dt.date, last: dt.date, projects: Iterable[int] | None = None
) -> dict[str, Any]:
    """What `placed_rows` has to be told to put a sample on the days from `first` to `last`."""
    begin = first - dt.timedelta(days=window.days - 1)
    midnights = [clock.midnight(day) for day in clock.days_between(begin, last + dt.timedelta(days=1))]
    return {
        "midnights": midnights,
        "since": midnights[0],
        "until": midnights[-1],
        "before": begin.toordinal() - 1,
        "days": window.days,
        "first": first.toordinal(),
        "last": last.toordinal(),
        "projects": None if projects is None else list(projects),
    }


def read(
    metric: Metric, *, window: Window, first: dt.date, last: dt.date, projects: Iterable[int] | None = None
) -> Sample:
    """What any day from `first` to `last` looks at of the sample, summed where the metric adds up."""
    unmeasured = _unmeasured(metric)
    if not metric.rows:
        return Sample(Entries.of([]), unmeasured)
    rows = _rows_of(metric)
    adds_up = metric.aggregate.tenths is None
    what = "sum(value)::bigint, sum(n)::bigint" if adds_up else "value::bigint, n::bigint"
    grouped = "group by project_id, enter, leave" if adds_up else ""
    sql = f"select project_id::bigint, enter::bigint, leave::bigint, {what} from ({rows}) r {grouped}"
    told = parameters(window, first=first, last=last, projects=projects)
    with connection.cursor() as cursor:
        return Sample(Entries(*columns_of(cursor, sql, told, names=Entries._fields)), unmeasured)


def _rows_of(metric: Metric) -> str:
    """SQL: project, enter, leave, value and n, entity by entity or added up."""
    if metric.shape is Shape.DISTINCT:
        return _once(metric)
    if metric.sums:
        return _placed(metric, metric.sums, entity="n")
    return f"select *, 1 as n from ({placed_rows(metric)}) r"


def _once(metric: Metric) -> str:
    """SQL: each entity once in any window, by its greatest value: it leaves when it happens anew."""
    of_entity = "over (partition by project_id, entity_id order by enter)"
    return f"""
        with event as (
            select project_id, entity_id, enter, min(leave) as leave, max(value) as value
              from ({placed_rows(metric)}) r
             group by project_id, entity_id, enter
        )
        select project_id, enter, least(leave, lead(enter) {of_entity}) as leave, 0 as value, 1 as n
          from event
         union all
        select project_id, enter, least(leave, lead(enter) {of_entity}), value, 0
          from event
         where value > 0
    """


def entities(
    metric: Metric, *, window: Window, day: dt.date, projects: Iterable[int]
) -> list[tuple[int, str, int]]:
    """(project, entity, contribution) of everything in the value of one day: the same rows, unfolded."""
    if not metric.rows:
        return []
    once = metric.shape is Shape.DISTINCT
    sql = f"""select project_id, entity_id, {"max(value)" if once else "value"} from ({placed_rows(metric)}) r
               {"group by project_id, entity_id" if once else ""} order by project_id, entity_id"""
    return _rows(sql, parameters(window, first=day, last=day, projects=projects))


def _rows(sql: str, told: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, told)
        return cursor.fetchall()


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

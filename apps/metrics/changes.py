"""Which entities count otherwise than before: samples and signals noted, then compared. Used by `whatif`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from apps.metrics.samples import parameters, placed_rows
from apps.metrics.signals import SIGNALS
from apps.metrics.words import Metric

MOST = 1000
"""Entities that are told for each metric."""


@dataclass(frozen=True)
class Changed:
    """An entity whose contribution or signal changes; None where it is in no sample, or has no signal.

    Contributions are integers: ms for durations, else 0 or 1; for ages the instant since which, in ms.
    """

    metric: str
    project: str
    entity_id: str
    before: int | None
    after: int | None
    signal_before: str | None
    signal_after: str | None


_NO_SIGNAL = "select null::bigint as project_id, null::text as entity_id, null::text as signal where false"
_SAMPLE = "select project_id, entity_id, enter, leave, value from ({rows}) r"
_CHANGED = """
    with now as ({sample}),
    gone as (select * from {before} except all select * from now),
    come as (select * from now except all select * from {before}),
    signal as (
        select project_id, entity_id, b.signal as before, a.signal as after
          from {signal_before} b
          full join ({signal}) a using (project_id, entity_id)
    ),
    entity as (
        select project_id, entity_id from gone
         union
        select project_id, entity_id from come
         union
        select project_id, entity_id
          from signal
         where before is distinct from after
           and (project_id, entity_id) in (
               select project_id, entity_id from now
                union all
               select project_id, entity_id from {before}
           )
    ),
    was as (
        select project_id, entity_id, max(value) as value
          from {before} join entity using (project_id, entity_id) group by project_id, entity_id
    ),
    becomes as (
        select project_id, entity_id, max(value) as value
          from now join entity using (project_id, entity_id) group by project_id, entity_id
    )
    select project_id, entity_id, was.value, becomes.value, s.before, s.after
      from entity
      left join was using (project_id, entity_id)
      left join becomes using (project_id, entity_id)
      left join signal s using (project_id, entity_id)
     order by project_id, entity_id
     limit {most}
"""


def note_entities(metrics: Sequence[Metric], *, projects: list[int], first: dt.date, last: dt.date) -> None:
    """Remember the samples and signals of projects as they stand, until the transaction ends."""
    with connection.cursor() as cursor:
        for number, metric in enumerate(metrics):
            if metric.rows:
                told = _asked(metric, projects, first, last)
                cursor.execute(
                    _noted(f"sample_before_{number}", _SAMPLE.format(rows=placed_rows(metric))), told
                )
        for kind in {metric.entity for metric in metrics}:
            cursor.execute(_noted(f"signal_before_{kind}", _signal(kind)), {"projects": projects})


def changed_entities(
    metrics: Sequence[Metric], *, projects: Mapping[int, str], first: dt.date, last: dt.date
) -> list[Changed]:
    """Entities that some day from `first` to `last` would look at otherwise than was noted."""
    found = []
    with connection.cursor() as cursor:
        for number, metric in enumerate(metrics):
            if metric.rows and projects:
                sql = _CHANGED.format(
                    sample=_SAMPLE.format(rows=placed_rows(metric)),
                    before=f"sample_before_{number}",
                    signal_before=f"signal_before_{metric.entity}",
                    signal=_signal(metric.entity),
                    most=MOST,
                )
                cursor.execute(sql, _asked(metric, list(projects), first, last))
                found += [Changed(metric.key, projects[row[0]], *row[1:]) for row in cursor.fetchall()]
    return found


def _noted(name: str, sql: str) -> str:
    return f'create temporary table "{name}" on commit drop as {sql}'


def _signal(kind: str) -> str:
    sql = SIGNALS.get(kind, _NO_SIGNAL)
    return f"select project_id, entity_id, signal from ({sql}) s where project_id = any(%(projects)s)"


def _asked(metric: Metric, projects: list[int], first: dt.date, last: dt.date) -> dict[str, Any]:
    return parameters(metric.window, first=first, last=last, projects=projects)

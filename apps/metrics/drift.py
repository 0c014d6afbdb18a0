"""Nightly drift: a few projects built from scratch beside what stands; what differs is a defect of ours."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from math import ceil
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper

from apps.metrics.difference import columns_of
from apps.metrics.facts import build_aside
from apps.metrics.fold import Members
from apps.metrics.models import Finding, MetricDaily, PlacedProject, Scope
from apps.metrics.quality import open_incident
from apps.metrics.registry import METRICS
from apps.metrics.rollup import folded, history_start, rolled
from apps.metrics.samples import read

SHARE = 20  # one project in so many
MOST_TOLD = 10
OF_DELIVERIES = ("negative_lead_time", "zero_lead_time")  # findings that no build of one project makes

_ASIDE = """
    select relname, quote_ident(current_schema())
      from pg_class
     where relnamespace = pg_my_temp_schema() and relkind = 'r' and relname = any(%s)
     order by relname
"""


def check_drift(*, run_id: int, seed: str, day: dt.date, now: dt.datetime) -> list[str]:
    """Compare a twentieth of the projects, one at least; a difference opens an incident.

    `day`: whose values are folded again. Answers what differs, as project and fact or metric.
    """
    placed = dict(PlacedProject.objects.order_by("pk").values_list("pk", "path"))
    chosen = random.Random(seed).sample(sorted(placed), ceil(len(placed) / SHARE))
    if not chosen:
        return []
    with transaction.atomic():
        build_aside(chosen)
        found = [f"{placed[project]}: {what}" for project, what in _facts(chosen)]
        found += _values({project: placed[project] for project in chosen}, day=day)
        transaction.set_rollback(True)
    if found:
        told = ", ".join(found[:MOST_TOLD]) + (
            f" and {len(found) - MOST_TOLD} more" * (len(found) > MOST_TOLD)
        )
        open_incident("drift", what=f"Built from scratch, it differs: {told}.", run_id=run_id, now=now)
    return found


def _facts(projects: Sequence[int]) -> list[tuple[int, str]]:
    """Projects and tables whose rows differ. The tables aside stand before the real ones here."""
    known = {model._meta.db_table: model for model in _models()}
    found: list[tuple[int, str]] = []
    with connection.cursor() as cursor:
        cursor.execute(_ASIDE, [sorted(known)])
        for table, schema in cursor.fetchall():
            found += [(project, table) for project in _unlike(cursor, known[table], schema, projects)]
    return sorted(found)


def _models() -> list[type[models.Model]]:
    return [model for model in PlacedProject._meta.app_config.get_models() if model is not PlacedProject]


def _unlike(
    cursor: CursorWrapper, model: type[models.Model], schema: str, projects: Sequence[int]
) -> list[int]:
    table = model._meta.db_table
    told: dict[str, Any] = {"projects": list(projects), "others": list(OF_DELIVERIES)}
    columns = ", ".join(f'"{c}"' for c in columns_of(model))
    where = "project_id = any(%(projects)s)" + (" and kind <> all(%(others)s)" if model is Finding else "")
    stands, aside = (
        f'select {columns} from {place}."{table}" where {where}' for place in (schema, "pg_temp")
    )
    cursor.execute(
        f"""
        select distinct project_id
          from (({stands} except all {aside}) union all ({aside} except all {stands})) unlike
         order by 1
        """,
        told,
    )
    return [project for (project,) in cursor.fetchall()]


def _values(projects: dict[int, str], *, day: dt.date) -> list[str]:
    """Repos and metrics whose value of a day is another when it is folded again from the facts aside."""
    start = history_start()
    if start is None or day < start:
        return []
    keys = {f"repo:{path}": project for project, path in projects.items()}
    scopes = list(Scope.objects.filter(key__in=keys, is_current=True))
    members = Members.of([[keys[scope.key]] for scope in scopes])
    stored = {
        (one.scope_id, one.metric): (one.numerator, one.denominator, one.n, one.reason)
        for one in MetricDaily.objects.filter(day=day, scope__in=scopes)
    }
    found = []
    for metric in METRICS:
        sample = read(metric, window=metric.window, first=day, last=day, projects=projects)
        (series,) = folded([metric], sample, members, metric.window, day, day, start)
        for place, scope in enumerate(scopes):
            (again,) = rolled(series, first=day, scope=place)
            if stored.get((scope.pk, metric.key)) not in (None, (*again.value, again.reason)):
                found.append(f"{scope.repo}: {metric.key}")
    return found

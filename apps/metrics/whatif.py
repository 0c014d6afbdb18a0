"""What if the rules were others: the same SQL over a candidate placement, beside what stands. Stores nothing.

Everything happens in one transaction that is rolled back. PostgreSQL looks for a table among the temporary
ones first, so a temporary table of a real name stands before the real one for this transaction only: first
the candidate `placed_project`, then the facts that were built with it, completed by the stored facts of
projects whose rules stay. From then on the samples read the candidate without knowing it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from apps.metrics.changes import Changed, changed_entities, note_entities
from apps.metrics.difference import Stage
from apps.metrics.facts import BY_RULES, build_aside, text
from apps.metrics.fold import Members
from apps.metrics.models import FactDelivery, PlacedProject, Scope
from apps.metrics.placement import RULES, placement_by
from apps.metrics.registry import by_key
from apps.metrics.rollup import Rolled, folded, history_start, projects_by_scope, rolled
from apps.metrics.samples import read
from apps.metrics.words import Metric
from apps.orgmap.place import OrgMap

Overrides = Mapping[tuple[str, str], Mapping[str, Any]]
"""(level, target) -> rule -> value, as the org map has them; None takes an override back."""


OUR_ROOM = apps.get_app_config("metrics")


@dataclass(frozen=True)
class Compared:
    """A value by the rules in force and by the candidate ones."""

    metric: str
    scope: str
    before: Rolled
    after: Rolled

    @property
    def day(self) -> dt.date:
        return self.before.day


@dataclass(frozen=True)
class WhatIf:
    """`affected`: paths of projects whose rules change. `changed`: entities that would count otherwise."""

    affected: list[str]
    values: list[Compared]
    changed: list[Changed]


def what_if(
    candidate: Overrides, *, metrics: Sequence[str], scopes: Sequence[str], first: dt.date, last: dt.date
) -> WhatIf:
    """Values in default windows, before and after, of metrics and scopes for each day from `first` to `last`.

    Safe beside a running build: both sides are read from one snapshot. Raises KeyError for an unknown metric,
    Scope.DoesNotExist for an unknown scope, pydantic's ValidationError for rules that are none.
    """
    chosen = [by_key(key) for key in metrics]
    with transaction.atomic():
        _one_snapshot()
        groups = _groups(scopes)
        placed = placement_by(_overridden(OrgMap.load(), candidate))
        affected = _affected(placed, among=_among(groups, chosen))
        before = {metric: _values(metric, groups, first, last) for metric in chosen}
        note_entities(chosen, projects=list(affected), first=first, last=last)
        _stand_aside(placed, list(affected))
        after = {metric: _values(metric, groups, first, last) for metric in chosen}
        changed = changed_entities(chosen, projects=affected, first=first, last=last)
        transaction.set_rollback(True)
    values = [
        Compared(metric.key, scope, *pair)
        for metric in chosen
        for scope in groups
        for pair in zip(before[metric][scope], after[metric][scope], strict=True)
    ]
    return WhatIf(sorted(affected.values()), values, changed)


def _one_snapshot() -> None:
    """Or a build that ends meanwhile would show as an effect of the rules."""
    if len(connection.savepoint_ids) == 0:  # inside another transaction the snapshot is that one's matter
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")


def _groups(scopes: Iterable[str]) -> dict[str, list[int]]:
    members = projects_by_scope()
    return {key: members.get(Scope.objects.get(key=key).pk, []) for key in scopes}


def _among(groups: Mapping[str, list[int]], metrics: Iterable[Metric]) -> list[int]:
    """Projects whose rules matter: those of the scopes; all, where another's deployment may be earlier."""
    if any(FactDelivery._meta.db_table in metric.rows for metric in metrics):
        return list(PlacedProject.objects.values_list("pk", flat=True))
    return sorted({project for group in groups.values() for project in group})


def _overridden(org: OrgMap, candidate: Overrides) -> OrgMap:
    overrides = {target: dict(rules) for target, rules in org.overrides.items()}
    for target, rules in candidate.items():
        found = overrides.setdefault(target, {}) | dict(rules)
        overrides[target] = {rule: value for rule, value in found.items() if value is not None}
    return replace(org, overrides=overrides)


def _affected(placed: Iterable[PlacedProject], *, among: Sequence[int]) -> dict[int, str]:
    """Project -> path, of those whose rules are not the ones that it stands under."""
    standing = PlacedProject.objects.in_bulk(among)
    return {
        one.pk: one.path
        for one in placed
        if one.pk in standing and any(_said(one, rule) != _said(standing[one.pk], rule) for rule in RULES)
    }


def _said(placed: PlacedProject, rule: str) -> Any:
    value = getattr(placed, rule)
    return list(value) if isinstance(value, tuple) else value


def _stand_aside(placed: list[PlacedProject], affected: list[int]) -> None:
    if not affected:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "create temporary table placed_project (like placed_project including all) on commit drop"
        )
        cursor.execute("select quote_ident(current_schema())")
        cursor.execute(
            f"insert into placed_project select * from {cursor.fetchone()[0]}.placed_project"
            " where project_id <> all(%s)",
            [affected],
        )
        # Into the temporary one, as whatever has its name from now on.
        PlacedProject.objects.bulk_create(one for one in placed if one.pk in affected)
        build_aside(affected, parts=BY_RULES)
        cursor.execute(_SHADOWS, [[model._meta.db_table for model in OUR_ROOM.get_models()]])
        for schema, table, columns in cursor.fetchall():
            cursor.execute(f'alter table pg_temp."{table}" rename to "candidate_{table}"')
            cursor.execute(
                f"""
                create temporary view "{table}" as
                select {columns} from pg_temp."candidate_{table}"
                 union all
                select {columns} from {schema}."{table}" where project_id <> all(%s)
                """,
                [affected],
            )
        deliveries = Stage(cursor, FactDelivery)
        deliveries.select(text("fact_delivery.sql"), {"projects": [one.pk for one in placed]})
        deliveries.shadow()


_SHADOWS = """
    select quote_ident(current_schema()), relname,
           (
               select string_agg(quote_ident(attname), ', ' order by attnum)
                 from pg_attribute
                where attrelid = aside.oid and attnum > 0 and not attisdropped
           )
      from pg_class aside
     where relnamespace = pg_my_temp_schema()
       and relkind = 'r'
       and relname <> 'placed_project'
       and relname = any(%s)
"""
"""Facts that stand aside, with the schema of the real ones and their columns."""


def _values(
    metric: Metric, groups: Mapping[str, list[int]], first: dt.date, last: dt.date
) -> dict[str, list[Rolled]]:
    projects = {project for group in groups.values() for project in group}
    sample = read(metric, window=metric.window, first=first, last=last, projects=projects)
    members = Members.of(list(groups.values()))
    start = history_start() or dt.date.min
    (series,) = folded([metric], sample, members, metric.window, first, last, start)
    return {key: rolled(series, first=first, scope=place) for place, key in enumerate(groups)}

"""Rows that could not be read, read again: what is forgotten so that the next collection asks for them.

The quarantine keeps no payload, so GitLab is asked once more: for the details of one merge request or
pipeline, or for a whole list from the start of history. A row that is stored at last leaves the quarantine.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Q

from apps.collector.due import Due
from apps.collector.endpoints import ENDPOINTS, PROJECTS, Endpoint
from apps.collector.models import IngestionState, Project, Quarantine

_SETTLE = """
    delete from quarantine
     where parent_id is null and entity = %(entity)s and entity_id <> '' and entity_id = any(%(ids)s)
       and endpoint = any(%(endpoints)s)
       and (project_id = %(project)s or project_id is null or %(project)s is null)
"""


class Asked(NamedTuple):
    """What will be read again: details of so many merge requests and pipelines, so many lists."""

    details: int
    lists: int


@transaction.atomic
def ask_again(rows: Iterable[Quarantine], *, now: dt.datetime) -> Asked:
    """Have the next collection of their projects read these rows again. `now` is kept with them.

    A list may bring rows of a project that it did not name: it is then read again in every project.
    """
    rows = list(rows)
    parents: dict[str, set[int]] = defaultdict(set)
    lists: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.parent_id is not None:
            parents[row.endpoint].add(row.parent_id)
            continue
        for name in _lists_of(row.entity, row.endpoint):
            lists[name].update(_projects_of(row))
    asked = Asked(
        details=sum(_forget_details(name, found) for name, found in sorted(parents.items())),
        lists=sum(rewind(name, projects, now=now) for name, projects in sorted(lists.items())),
    )
    projects = {row.project_id for row in rows if row.project_id} | {
        pk for found in lists.values() for pk in found
    }
    Project.objects.filter(pk__in=projects, settled_at__isnull=False).update(settled_at=None)
    Quarantine.objects.filter(pk__in=[row.pk for row in rows]).update(asked_again_at=now)
    return asked


def renew(project_id: int) -> None:
    """Rewind what a collection that was under way when somebody asked has moved on again.

    To be called at the end of a collection, when nothing holds its marks in memory any more.
    """
    for row in Quarantine.objects.filter(
        project_id=project_id, asked_again_at__isnull=False, parent_id__isnull=True
    ):
        assert row.asked_again_at
        for name in _lists_of(row.entity, row.endpoint):
            rewind(name, [project_id], now=row.asked_again_at, read_before=row.asked_again_at)


def is_needed(project_id: int | None) -> bool:
    """Whether `settle` could find anything; None asks for all projects."""
    whose = Q() if project_id is None else Q(project_id=project_id) | Q(project_id__isnull=True)
    return Quarantine.objects.filter(whose).exists()


def settle(entity_table: str, ids: Iterable[str], project_id: int | None, *, endpoint: str = "") -> int:
    """These rows of a list were stored: they leave the quarantine; answers how many did.

    `ids`: the last column of their keys, as text. A word before the number (`state:55`) is left aside.
    """
    names = {name for one in ids if one for name in (one, one.rpartition(":")[2])}
    told = {
        "entity": entity_table,
        "ids": sorted(names),
        "endpoints": sorted({"", endpoint, *_filled(entity_table)}),
        "project": project_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, told)
        return cursor.rowcount


def settle_details(endpoint: str, parents: Collection[int]) -> int:
    """All details of these merge requests or pipelines were stored, none was refused."""
    found = Quarantine.objects.filter(endpoint=endpoint, parent_id__in=parents)
    return found.delete()[0] if parents else 0


# --- what the endpoint table says about a row of the quarantine ------------------------------------


@cache
def _by_name() -> dict[str, Endpoint]:
    return {one.name: one for one in (PROJECTS, *ENDPOINTS)}


@cache
def _filled(entity_table: str) -> frozenset[str]:
    """The endpoints that bring new rows of a table as their main thing."""
    return frozenset(
        one.name
        for one in _by_name().values()
        if one.routes[0].tables and one.main.name == entity_table and not one.main.updates
    )


def _lists_of(entity_table: str, endpoint: str) -> Iterable[str]:
    """Whose marks have to go back; a discovery reads all projects every time, without a mark."""
    names = [endpoint] if endpoint else sorted(_filled(entity_table))
    return [name for name in names if name in _by_name() and name != PROJECTS.name]


def _projects_of(row: Quarantine) -> Iterable[int]:
    if row.project_id is not None:
        return [row.project_id]
    return Project.objects.filter(in_scope=True).values_list("pk", flat=True)


def rewind(
    name: str, projects: Iterable[int], *, now: dt.datetime, read_before: dt.datetime | None = None
) -> int:
    """Have a list, and its further queries, read from the start of history; answers of how many projects."""
    marks = IngestionState.objects.filter(
        Q(entity=name) | Q(entity__startswith=f"{name}:"), level="project", level_id__in=list(projects)
    )
    if read_before is not None:
        marks = marks.filter(history_from__isnull=False, last_run_at__lt=read_before)
    found = marks.values_list("level_id", flat=True).distinct().count()
    marks.update(history_from=None, last_seen_updated_at=None, cursor={}, dirty_at=now)
    return found


def _forget_details(name: str, parents: Collection[int]) -> int:
    """Make the details of these due again; answers how many parents that concerns."""
    endpoint = _by_name().get(name)
    dues = {id(due): due for route in (endpoint.routes if endpoint else ()) if (due := _due(route.source))}
    for due in dues.values():
        mark = due.model._meta.get_field(due.mark)
        if getattr(mark, "null", False):  # one that is never empty stands for rows that are always due
            due.model._default_manager.filter(**{f"{due.key}__in": parents}).update(**{due.mark: None})
    return len(parents) if dues else 0


def _due(source: object) -> Due | None:
    found = getattr(source, "due", None)
    assert found is None or isinstance(found, Due)
    return found

"""Asking GitLab once more, by another route than the one that collects: single rows, and how many there are.

Stores nothing: what the answers are held against is the caller's matter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import models

from apps.collector.client import Client
from apps.collector.columns import Column
from apps.collector.endpoint import Endpoint
from apps.collector.endpoints import DEPLOYMENTS, ISSUES, MERGE_REQUESTS, PIPELINES, RELEASES
from apps.collector.errors import GitlabRefused
from apps.collector.models import IngestionState, RawMergeRequest
from apps.collector.normalise import Unfit, instant
from apps.collector.replay import rewind
from apps.collector.rest import iso
from apps.collector.shapes import Reader, Unread
from apps.collector.tables import given_for

OURS_ONLY = ("project_id", "deleted_at")  # no words of GitLab's
ANY_STATE = {"scope": "all", "state": "all"}


@dataclass(frozen=True)
class Counted:
    """A list whose length can be asked for. `moves`: its rows are bounded by when they were updated.

    `leaves_out`: rows of ours that the list itself does not show.
    """

    endpoint: Endpoint
    query: Mapping[str, str] = field(default_factory=dict)
    moves: bool = True
    leaves_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return str(self.endpoint.routes[0].source.path)

    def ours(self, project: int, *, since: dt.datetime, until: dt.datetime) -> int:
        """How many rows we hold that GitLab has to count between these instants."""
        model: type[models.Model] = self.endpoint.main.into
        rows: models.QuerySet[Any] = model._default_manager.filter(project_id=project).exclude(
            **self.leaves_out
        )
        if self.moves:
            rows = rows.filter(updated_at__gte=since, updated_at__lte=until)
        if hasattr(model, "deleted_at"):
            rows = rows.filter(deleted_at__isnull=True)
        return rows.count()


COUNTED = {
    "merge_requests": Counted(MERGE_REQUESTS, ANY_STATE),
    "pipelines": Counted(PIPELINES, leaves_out={"source": "parent_pipeline"}),
    "deployments": Counted(DEPLOYMENTS, {"order_by": "updated_at"}),
    "issues": Counted(ISSUES, ANY_STATE),
    "releases": Counted(RELEASES, moves=False),
}
"""Whatever is counted for each project, by the name of its list."""


def total(
    name: str, project: int, *, client: Client, since: dt.datetime, until: dt.datetime | None, **more: str
) -> int | None:
    """How many rows of a list GitLab counts; None where it does not count. Raises as Client.get does."""
    counted = COUNTED[name]
    query: dict[str, Any] = {**counted.query, **more, "per_page": 1}
    if counted.moves:
        query["updated_after"] = iso(since)
        query |= {"updated_before": iso(until)} if until else {}
    return client.get(counted.path.format(project_id=project), query=query, decode=bytes).total


def is_open(project: int, *, client: Client) -> bool:
    """Whether the project still shows its merge requests: a closed one says 404 to every row."""
    try:
        client.get(
            COUNTED["merge_requests"].path.format(project_id=project), query={"per_page": 1}, decode=bytes
        )
    except GitlabRefused:
        return False
    return True


def fields(row: RawMergeRequest) -> dict[str, str]:
    """What we hold of a merge request, field by field, as comparable text."""
    return {column.name: _text(column, getattr(row, column.name)) for column in _columns()}


def asked_again(row: RawMergeRequest, *, client: Client) -> dict[str, str] | None:
    """The same as GitLab tells it of this one row; None where it says that there is none.

    What a null may not overwrite is told as we hold it where GitLab is silent. Raises as Client.get does.
    """
    path = MERGE_REQUESTS.single.format(project_id=row.project_id, iid=row.iid)
    try:
        answer = client.get(path, query={}, decode=_reader().row)
    except GitlabRefused as refusal:
        if refusal.status == 404:
            return None
        raise
    if isinstance(answer.value, Unread) or answer.value is None:
        return {}
    given = given_for(row.project_id, now=answer.server_time)
    held, told = fields(row), dict[str, str]()
    for column in _columns():
        value = column.read(answer.value, answer.value, given)
        told[column.name] = _text(column, value)
        if value is None and column.name in MERGE_REQUESTS.main.keeps:
            told[column.name] = held[column.name]
    return told


def mark(name: str, project: int) -> IngestionState | None:
    """How far the list of a project was read; None where it was not read whole, or is refused."""
    found = IngestionState.objects.filter(level="project", level_id=project, entity=name, unavailable="")
    return found.filter(history_from__isnull=False, last_seen_updated_at__isnull=False).first()


def refetch(name: str, project: int, *, now: dt.datetime) -> None:
    """Have the next collection read the whole list of this project anew."""
    rewind(name, [project], now=now)


@cache
def _reader() -> Reader:
    return Reader("one_merge_request", MERGE_REQUESTS.main.paths)


def _columns() -> list[Column]:
    return [column for column in MERGE_REQUESTS.main.columns if column.name not in OURS_ONLY]


def _text(column: Column, value: Any) -> str:
    """As the upsert would write it, so that two ways of saying the same are the same."""
    if value is None:
        return column.absent or ""
    try:
        if column.name in _instants():
            return (
                (value if isinstance(value, dt.datetime) else instant(value)).astimezone(dt.UTC).isoformat()
            )
        return column.cell(value, _EVER)
    except Unfit:
        return "unreadable"


@cache
def _instants() -> frozenset[str]:
    kinds = RawMergeRequest._meta.concrete_fields
    return frozenset(one.attname for one in kinds if isinstance(one, models.DateTimeField))


_EVER = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)

"""What GitLab's webhooks tell: which lists an event makes worth reading again. A kind of event is a row.

An event is a hint and no more: only its kind and its project are looked at, and the next collection asks
GitLab itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection, transaction

_ISSUES = ("issues", "issues_closed", "issues_reopened")
_MERGE_REQUESTS = ("merge_requests", "merge_requests_closed", "merge_requests_reopened")
_PIPELINES = ("pipelines", "child_pipelines")

EVENTS: dict[str, tuple[str, ...]] = {
    "push": ("push_events", "branches", "commits"),
    "tag_push": ("push_events", "tags"),
    "merge_request": _MERGE_REQUESTS,
    "pipeline": _PIPELINES,
    "build": _PIPELINES,
    "deployment": ("deployments", "environments"),
    "release": ("releases", "tags"),
    "issue": _ISSUES,
    "work_item": _ISSUES,
    "note on MergeRequest": _MERGE_REQUESTS,
    "note on Issue": _ISSUES,
}
"""Kind of event -> rows of the endpoint table. Lists only: details follow from what the lists bring."""

_WAIT = "set local lock_timeout = '3s'"  # GitLab waits for ten, and a page is stored in less
_MARK = """
    insert into ingestion_state (level, level_id, entity, cursor, unavailable, dirty_at)
    select 'project', project_id, entity, '{}', '', %(now)s
      from dim_project, unnest(%(entities)s::text[]) as entity
     where project_id = %(project)s and in_scope
     order by entity
        on conflict (level, level_id, entity) do update set dirty_at = excluded.dirty_at
"""


class _Named(msgspec.Struct):
    id: int | None = None
    noteable_type: str | None = None


class _Body(msgspec.Struct):
    object_kind: str | None = None
    event_name: str | None = None
    project_id: int | None = None
    project: _Named | None = None
    object_attributes: _Named | None = None


class Event(msgspec.Struct, frozen=True):
    """A kind of EVENTS, or any other; `project_id` None where the event is not about a project."""

    kind: str
    project_id: int | None

    @property
    def entities(self) -> Sequence[str]:
        """What is worth reading again; nothing for a kind that we do not know."""
        return EVENTS.get(self.kind, ()) if self.project_id is not None else ()


_DECODER = msgspec.json.Decoder(_Body)
_ANY = msgspec.json.Decoder(dict[str, Any])


def event_in(body: bytes) -> Event:
    """The event of a request's body. Raises msgspec.DecodeError where it is no JSON object.

    An object of another shape than GitLab's is an event that we do not know.
    """
    try:
        told = _DECODER.decode(body)
    except msgspec.ValidationError:
        _ANY.decode(body)
        return Event("", None)
    kind, about = told.object_kind or told.event_name or "", told.object_attributes
    if kind == "note":
        kind = f"note on {about.noteable_type if about else None}"
    return Event(kind, told.project_id or (told.project.id if told.project else None))


def mark_dirty(event: Event, *, now: dt.datetime) -> int:
    """Have the next collection read the event's lists; answers how many, 0 for what is not collected.

    Touches no other column than `dirty_at`, so it does not matter what a collection writes meanwhile. Raises
    django.db.OperationalError where the rows stay locked.
    """
    if not event.entities or not _fits(event.project_id):
        return 0
    told = {"project": event.project_id, "entities": list(event.entities), "now": now}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_WAIT)
        cursor.execute(_MARK, told)
        return cursor.rowcount


def _fits(number: int | None) -> bool:
    return number is not None and 0 < number < 2**63

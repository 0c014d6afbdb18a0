"""Events of a project: what kind each is, and whether pushes moved branches or tags since a moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from apps.collector.fields import Field
from apps.collector.models import IngestionState, RawPushEvent


def no_push() -> Field:
    """True where an event is no push."""
    return Field(lambda item, document, given: item.push_data is None, ("push_data.ref",))


def other_than(targets: tuple[str, ...], entity: str) -> Field:
    """True where an event is not the change of state that an entity such as issues_closed is about."""
    action = entity.rpartition("_")[2]

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> bool:
        return item.target_type not in targets or item.action_name != action

    return Field(read, ("target_type", "action_name"))


def branches_moved(project_id: int, since: dt.datetime) -> bool:
    """Whether a branch was pushed, made or removed; a push of many refs at once does not say which."""
    return _moved(project_id, since, "branch")


def tags_moved(project_id: int, since: dt.datetime) -> bool:
    """Whether a tag was made or removed."""
    return _moved(project_id, since, "tag")


def _moved(project_id: int, since: dt.datetime, kind: str) -> bool:
    state = IngestionState.objects.filter(level="project", level_id=project_id, entity="push_events").first()
    if state is None or state.unavailable or state.last_seen_updated_at is None:
        return True  # no events, no proof
    events = RawPushEvent.objects.filter(project_id=project_id, created_at__gte=since)
    unclear = Q(ref_type__isnull=True) | Q(ref__isnull=True)
    return state.last_seen_updated_at < since or events.filter(Q(ref_type=kind) | unclear).exists()

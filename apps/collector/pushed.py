"""Whether pushes moved branches or tags since a moment, by the project's push events."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q

from apps.collector.models import IngestionState, RawPushEvent


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

"""How far each entity of each project has been read.

A mark moves only in the transaction of the last page.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any
from zlib import crc32

from django.db import connection

from apps.collector.models import IngestionState

EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
AGAIN = "merge_request_details:again"  # the books of looking once more at what is open
PIPELINES_AGAIN = "unfinished_pipelines:again"
LONGEST_NAME = 64
OVERLAP = dt.timedelta(minutes=10)  # replicas lag and clocks differ; reading a little again is free
_PROVE = """
    update ingestion_state
       set last_seen_updated_at = greatest(last_seen_updated_at, %(until)s - %(overlap)s),
           last_run_at = %(until)s
     where level = 'project' and entity = %(entity)s and level_id = any(%(projects)s)
       and history_from is not null and last_seen_updated_at >= %(since)s and last_run_at < %(until)s
       and unavailable = '' and dirty_at is null and not cursor ? 'started'
"""
_KEY = ["level", "level_id", "entity"]
_REST = ["last_seen_updated_at", "last_run_at", "history_from", "cursor", "unavailable"]


def prove(entity: str, projects: Collection[int], *, since: dt.datetime, until: dt.datetime) -> None:
    """These projects' entity was seen whole from `since` to `until` (server time): move marks that reach it.

    A mark that is older, in the middle of a reading, refused or hinted at stays where it is.
    """
    told: dict[str, Any] = {"entity": entity, "projects": list(projects), "since": since, "until": until}
    told["overlap"] = OVERLAP
    with connection.cursor() as cursor:
        cursor.execute(_PROVE, told)


def begin(entity: str, projects: Collection[int], *, history: dt.datetime) -> None:
    """Open the books of an entity for these projects where they have none: read from `history` on."""
    IngestionState.objects.bulk_create(
        [
            IngestionState(
                level="project", level_id=project, entity=entity, history_from=history,
                last_seen_updated_at=history, last_run_at=history,
            )
            for project in sorted(projects)
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def name_of(entity: str, query: Mapping[str, Any]) -> str:
    """The name under which the books keep a further query of an entity: a long one keeps its start and is
    told apart by a checksum.
    """
    told = ",".join(f"{key}={value}" for key, value in sorted(query.items()))
    name = f"{entity}:{told}"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}~{crc32(name.encode()):08x}"


class Mark:
    """The books of one (level, id, entity)."""

    def __init__(self, state: IngestionState) -> None:
        self._state = state

    @classmethod
    def of(cls, *, level: str, level_id: int, entity: str) -> Mark:
        """The mark as it was left, or a fresh one."""
        key = {"level": level, "level_id": level_id, "entity": entity}
        return cls(IngestionState.objects.filter(**key).first() or IngestionState(**key))

    @property
    def is_complete(self) -> bool:
        """Whether this was ever read to its end."""
        return self._state.history_from is not None

    def start(self, history: dt.datetime) -> dt.datetime:
        """From when to read: the mark, or the start of history where that was never read."""
        known = self._state.history_from
        if known is None or history < known or self._state.last_seen_updated_at is None:
            return history
        return self._state.last_seen_updated_at

    def is_fresh(self, moment: dt.datetime | None, *, history: dt.datetime) -> bool:
        """Whether it was read, or proved to be at rest, since a moment, and nobody told us otherwise."""
        state = self._state
        known, read = state.history_from, state.last_run_at
        if moment is None or known is None or read is None or state.dirty_at or state.unavailable:
            return False
        return known <= history and read >= moment and "started" not in state.cursor

    def is_whole(self, *, history: dt.datetime) -> bool:
        """Whether all of history was read once."""
        return self._state.history_from is not None and self._state.history_from <= history

    @property
    def is_dirty(self) -> bool:
        """Whether somebody told us that it changed, since it was last read."""
        return self._state.dirty_at is not None

    def cursor(self, history: dt.datetime) -> dict[str, Any]:
        """Where an unfinished reading of the same span stands; {} to start afresh."""
        kept = dict(self._state.cursor)
        span = kept.pop("history", None)
        return kept if span is None or span == history.isoformat() else {}

    def started(self) -> dt.datetime | None:
        """When the unfinished reading that `cursor` goes on with began, by the server's clock."""
        text = self._state.cursor.get("started")
        return dt.datetime.fromisoformat(text) if text else None

    def reach(self, cursor: dict[str, Any], *, history: dt.datetime, started: dt.datetime) -> None:
        """A page was stored, more are to come."""
        self._state.cursor = {**cursor, "history": history.isoformat(), "started": started.isoformat()}
        self._save()

    def finish(self, cursor: dict[str, Any], *, history: dt.datetime, started: dt.datetime) -> None:
        """The last page was stored: move the mark to when this reading began, less the overlap."""
        known = self._state.history_from
        self._state.last_seen_updated_at = started - OVERLAP
        self._state.history_from = min(known, history) if known else history
        self._state.last_run_at, self._state.cursor, self._state.unavailable = started, cursor, ""
        self._save()
        self.clear_hint()

    def clear_hint(self) -> None:
        """What somebody told us before this reading began has been seen to; what came since stays."""
        if hinted_at := self._state.dirty_at:
            key = {name: getattr(self._state, name) for name in _KEY}
            IngestionState.objects.filter(**key, dirty_at=hinted_at).update(dirty_at=None)
            self._state.dirty_at = None

    def open(self) -> None:
        """It was not refused this time."""
        if self._state.pk and self._state.unavailable:
            self._state.unavailable = ""
            self._save()

    def refuse(self, reason: str) -> None:
        """GitLab does not give this entity; `reason` is from the closed list."""
        if self._state.unavailable != reason:
            self._state.unavailable = reason
            self._save()

    def _save(self) -> None:
        IngestionState.objects.bulk_create(
            [self._state], update_conflicts=True, unique_fields=_KEY, update_fields=_REST
        )

"""How far each entity of each project has been read.

A mark moves only in the transaction of the last page.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from apps.collector.models import IngestionState

OVERLAP = dt.timedelta(minutes=10)  # replicas lag and clocks differ; reading a little again is free
_KEY = ["level", "level_id", "entity"]
_REST = ["last_seen_updated_at", "last_run_at", "history_from", "cursor", "unavailable"]


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

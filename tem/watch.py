"""Who watches over the runs: a timer in every worker, so that nobody needs beat to be told that it is away.

Looks at the deadline and at slots that nobody opens, and sends what people are to be told.
"""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import suppress
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_ready
from django.db import DatabaseError, connection

from apps.runs import alerts, slots
from tem import clock, deadline, history, notify, tokens

log = structlog.get_logger(__name__)
EVERY_S = 30.0
PATIENCE = dt.timedelta(minutes=10)  # a slot that is due for so long while we look on is opened by nobody


@shared_task(name="tem.watch.look_at_token")
def look_at_token() -> None:
    """Once a day: whether GitLab's token ends soon, or may too little."""
    tokens.look(now=clock.now())


class Watch:
    """One watcher: what it remembers is since when each slot has been due before its eyes."""

    def __init__(self) -> None:
        self._due_since: dict[tuple[str, str], dt.datetime] = {}

    def look(self, *, now: dt.datetime) -> None:
        """Once around. Several watchers may look at the same moment; each thing is told of once."""
        self._look_at_slots(now=now)
        deadline.look(now=now)
        notify.deliver(now=now)

    def _look_at_slots(self, *, now: dt.datetime) -> None:
        rhythms = slots.RHYTHMS if history.start() else ()
        found = [(rhythm.kind, slot) for rhythm in rhythms if (slot := slots.due(rhythm, now=now))]
        since = {(kind, slot.name): self._due_since.get((kind, slot.name), now) for kind, slot in found}
        self._due_since = since
        waited = sorted(kind for (kind, _), at in since.items() if now - at >= PATIENCE)
        if waited:
            oldest = min(at for at in since.values())
            text = f"Due for {PATIENCE.seconds // 60} minutes, and opened by nobody: {', '.join(waited)}."
            alerts.raise_alert(
                alerts.SCHEDULE_STOPPED, occasion=f"since {oldest:%Y-%m-%dT%H:%M}", text=text, now=now
            )

    def keep_looking(self, over: threading.Event) -> None:
        """A thread's whole life; a database that is away is met again at the next turn."""
        while not over.wait(EVERY_S):
            with suppress(DatabaseError):
                self.turn(now=clock.now())
            connection.close()

    def turn(self, *, now: dt.datetime) -> None:
        """One look. What nobody expected is told of like anything else: a watcher that ends tells nobody."""
        try:
            self.look(now=now)
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("watching failed", exc_info=error)
            text = f"Deadline and schedule could not be looked at: {type(error).__name__}."
            occasion = f"{type(error).__name__} {now:%Y-%m-%d}"
            alerts.raise_alert(alerts.WATCH_FAILED, occasion=occasion, text=text, now=now)
            notify.deliver(now=now)


@worker_ready.connect
def keep_watch(**_: Any) -> None:
    threading.Thread(target=Watch().keep_looking, args=(threading.Event(),), daemon=True).start()

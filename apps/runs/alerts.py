"""What people have to be told: an outbox. An alert is a row first, in the transaction of what it tells of.

So none is lost when a process dies, and none is told twice for one occasion. Sending is `tem.notify`'s.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.runs.models import Alert, Run


@dataclass(frozen=True, slots=True)
class Kind:
    """What an alert is about: its headline, and the page of `runbooks/` that says what to do."""

    name: str
    headline: str
    runbook: str


DEADLINE_AT_RISK = Kind("deadline_at_risk", "The night will probably be late", "deadline.md")
DEADLINE_MISSED = Kind("deadline_missed", "The night is late", "deadline.md")
DEADLINE_MET_LATE = Kind("deadline_met_late", "The late night is done", "deadline.md")
RUN_FAILED = Kind("run_failed", "A run failed", "run-failed.md")
DATA_QUALITY_RED = Kind("data_quality_red", "Data quality is red", "data-quality-red.md")
TOKEN_EXPIRES = Kind("token_expires", "GitLab's token needs attention", "token-expires.md")
SCHEDULE_STOPPED = Kind("schedule_stopped", "Nothing starts runs by schedule", "schedule-stopped.md")
WATCH_FAILED = Kind("watch_failed", "Nobody watches the runs", "watch-failed.md")
KINDS = {
    kind.name: kind
    for kind in (
        DEADLINE_AT_RISK,
        DEADLINE_MISSED,
        DEADLINE_MET_LATE,
        RUN_FAILED,
        DATA_QUALITY_RED,
        TOKEN_EXPIRES,
        SCHEDULE_STOPPED,
        WATCH_FAILED,
    )
}

GIVE_UP = dt.timedelta(days=1)  # what nobody could be told for so long is news no more; the row stays
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(minutes=1), dt.timedelta(hours=1)


def raise_alert(
    kind: Kind, *, occasion: str, text: str, now: dt.datetime, run: Run | None = None
) -> Alert | None:
    """Enter the alert, to be sent soon; None if this occasion was told of before.

    `text`: ids and paths of projects, never a secret. `now`: UTC.
    """
    told = {"run": run, "text": text, "raised_at": now, "next_at": now}
    alert, is_new = Alert.objects.get_or_create(kind=kind.name, occasion=occasion, defaults=told)
    return alert if is_new else None


def due(*, now: dt.datetime) -> QuerySet[Alert]:
    """Alerts that some channel is still to be told of, the oldest first."""
    return Alert.objects.filter(next_at__lte=now, raised_at__gt=now - GIVE_UP).order_by("id")


def waiting(*, now: dt.datetime) -> int:
    """How many alerts of the last day some channel has not got."""
    return Alert.objects.filter(next_at__isnull=False, raised_at__gt=now - GIVE_UP).count()


def take(alert: Alert, *, now: dt.datetime) -> bool:
    """Make it ours to send: answers whether it is. Should we die, others try when the wait is over."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(alert.attempts, 10))
    ours = Alert.objects.filter(pk=alert.pk, next_at=alert.next_at)
    return bool(ours.update(next_at=now + wait, attempts=alert.attempts + 1))


def enter(alert: Alert, *, told: dict[str, str], failed: bool) -> None:
    """Note which channels were told by now; with none left the alert is done with."""
    changes = {} if failed else {"next_at": None}
    Alert.objects.filter(pk=alert.pk).update(told=told, **changes)

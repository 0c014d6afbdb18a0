"""Whether the numbers are to be trusted: green, red while an incident is open, unknown before any check."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, Q

from apps.metrics.intervals import NONE, wilson
from apps.metrics.models import Finding, ParitySample, QualityIncident
from apps.runs import alerts
from tem.errors import TemError

BAR = 0.98


class NotClosed(TemError):
    """An incident stays open: the message says what its closing lacks."""


@dataclass(frozen=True)
class Parity:
    """Agreeing checks of all, in the newest run that asked; `low` and `high` bound the ratio with 95 %."""

    run_id: int
    agreeing: int
    checks: int

    @property
    def ratio(self) -> float:
        return self.agreeing / self.checks

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, as ratios."""
        bounds = wilson(np.array([self.agreeing]), np.array([self.checks]))
        low, high = (int(bound[0]) for bound in bounds)
        return (low / 10_000, high / 10_000) if low != NONE else (0.0, 1.0)


@dataclass(frozen=True)
class Quality:
    """`state`: unknown, green or red. `incidents`: those that are open, the newest first."""

    state: str
    parity: Parity | None
    incidents: list[QualityIncident]

    def as_json(self) -> dict[str, Any]:
        """As every daily file has it."""
        return {"state": self.state, "parity": round(self.parity.ratio, 4) if self.parity else None}


def quality() -> Quality:
    """How it stands now."""
    found, incidents = parity(), list(QualityIncident.objects.filter(closed_at=None))
    state = "red" if incidents else "green" if found else "unknown"
    return Quality(state, found, incidents)


def parity(run_id: int | None = None) -> Parity | None:
    """Of this run, or of the newest that asked; None where none did."""
    newest = ParitySample.objects.order_by("-run_id").values_list("run_id", flat=True).first()
    run_id = newest if run_id is None else run_id
    if run_id is None:
        return None
    told = ParitySample.objects.filter(run_id=run_id).aggregate(
        checks=Count("id"), agreeing=Count("id", filter=Q(agrees=True))
    )
    return Parity(run_id, **told) if told["checks"] else None


def open_incident(kind: str, *, what: str, run_id: int, now: dt.datetime) -> QualityIncident:
    """Open an incident, or note the finding in the one of its kind that is open; once for each run."""
    entry = {"at": now.isoformat(), "run": run_id, "what": what}
    told = {"run_id": run_id, "opened_at": now, "what": what}
    with transaction.atomic():
        standing = QualityIncident.objects.select_for_update()
        incident, _ = standing.get_or_create(kind=kind, closed_at=None, defaults=told)
        if all(one["run"] != run_id for one in incident.timeline):
            incident.timeline = [*incident.timeline, entry]
            incident.save(update_fields=["timeline"])
        text = f"Incident {incident.pk} ({kind}), found by run {run_id}: {what}"
        alerts.raise_alert(alerts.DATA_QUALITY_RED, occasion=f"incident {incident.pk}", text=text, now=now)
    return incident


def close(incident: QualityIncident, *, who: str, cause: str, note: str, now: dt.datetime) -> None:
    """Close it for good. Raises NotClosed without a cause and a note."""
    if not cause.strip() or not note.strip():
        raise NotClosed("Say what the cause was and what was done about it: both are kept for good.")
    entry = {"at": now.isoformat(), "run": None, "what": f"closed by {who}"}
    closing = {"cause": cause, "closing_note": note, "closed_by": who, "closed_at": now}
    QualityIncident.objects.filter(pk=incident.pk, closed_at=None).update(
        timeline=[*incident.timeline, entry], **closing
    )


def findings(before: dict[str, int]) -> dict[str, dict[str, int]]:
    """Findings by kind, in all and beyond the counts of `before`."""
    kinds = Finding.objects.order_by().values_list("kind").annotate(count=Count("id"))
    counts = Counter(dict(kinds))
    more = {kind: max(0, count - before.get(kind, 0)) for kind, count in counts.items()}
    return {"all": dict(sorted(counts.items())), "new": {k: n for k, n in sorted(more.items()) if n}}

"""Which projects are left out, and why; which count as active.

Of the closed list of reasons `merge_requests_disabled` is never given: such a project is collected, and only
what needs merge requests is unavailable there.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import msgspec
from django.db.models import Q

from apps.collector.client import Client
from apps.collector.errors import GitlabRefused
from apps.collector.models import Exclusion, Project, RawMergeRequest
from apps.collector.rest import iso

ACTIVE_FOR = dt.timedelta(days=90)
Reason = Exclusion.Reason
SETTLED_BY_COLLECTING = (Reason.NO_ACCESS, Reason.FAILED, Reason.QUARANTINED)
LEFT_ALONE = tuple(reason for reason in Reason if reason not in (Reason.FAILED, Reason.QUARANTINED))
"""Reasons for which nothing can be late: there is nothing to collect, or GitLab does not let us."""


class Coverage(NamedTuple):
    """How much of what is active was collected. `ratio` is None when nothing is active."""

    ratio: float | None
    active: int
    included: int
    excluded: list[tuple[str, str]]


def exclude(project_id: int, *, reason: str, detail: str, now: dt.datetime) -> None:
    """Record why a project is left out; the moment of the first time is kept while the reason stays."""
    known = Exclusion.objects.filter(pk=project_id).first()
    if known is None or known.reason != reason:
        Exclusion.objects.update_or_create(
            project_id=project_id, defaults={"reason": reason, "detail": detail[:500], "since": now}
        )


def admit(project_id: int, *, now: dt.datetime, was_active: bool = False, settled: bool = False) -> None:
    """A project that was just collected is neither closed nor failed; whether it is active is seen from its
    rows. `settled`: it is archived and has nothing more to tell."""
    Exclusion.objects.filter(project_id=project_id, reason__in=SETTLED_BY_COLLECTING).delete()
    project = Project.objects.get(pk=project_id)
    lives = not project.archived and not project.pending_deletion_at
    active = lives and (was_active or is_active(project_id, now=now))
    if project.active_flag != active:
        Project.objects.filter(pk=project_id).update(active_flag=active)
    if settled != (project.settled_at is not None):
        Project.objects.filter(pk=project_id).update(settled_at=now if settled else None)


def was_active_before_history(
    project: Project, *, client: Client, since: dt.datetime, now: dt.datetime
) -> bool:
    """Whether a merge request moved in the last 90 days, where history is too short to tell."""
    recent = now - ACTIVE_FOR
    if since <= recent or project.archived or is_active(project.pk, now=now):
        return False
    query = {"scope": "all", "per_page": 1, "updated_after": iso(recent)}
    path = f"/projects/{project.pk}/merge_requests"
    try:
        return bool(client.get(path, query=query, decode=msgspec.json.decode).value)
    except GitlabRefused:
        return False


def is_active(project_id: int, *, now: dt.datetime) -> bool:
    """Whether a merge request was created, updated or merged in the last 90 days."""
    return RawMergeRequest.objects.filter(project_id=project_id, updated_at__gte=now - ACTIVE_FOR).exists()


def coverage(*, now: dt.datetime) -> Coverage:
    """Included of active. A project that we may not see may well be active, so it counts as such."""
    excluded = list(Exclusion.objects.select_related("project").order_by("project__path_with_namespace"))
    reasons = {one.project_id: one.reason for one in excluded}
    closed = [pk for pk, reason in reasons.items() if reason == Reason.NO_ACCESS]
    counted = Project.objects.filter(Q(active_flag=True) | Q(pk__in=closed), in_scope=True)
    # What failed is our doing and stays in the denominator; what there is nothing to collect from does not.
    active = [
        pk for pk in counted.values_list("pk", flat=True) if reasons.get(pk) in (None, *SETTLED_BY_COLLECTING)
    ]
    included = sum(pk not in reasons for pk in active)
    return Coverage(
        ratio=included / len(active) if active else None,
        active=len(active),
        included=included,
        excluded=[(one.project.path_with_namespace, one.reason) for one in excluded],
    )

"""Weekly parity: a few merge requests and the counts of every project, asked again by another route.

Every (merge request, field) and every (project, count) is one check. What disagrees is classified, and
fetched again by the next collection; after that the check says whether it agrees now.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any

from apps.collector import second_look
from apps.collector.client import Client
from apps.collector.errors import GitlabRefused
from apps.collector.models import IngestionState, RawMergeRequest
from apps.collector.normalise import Unfit, instant
from apps.collector.second_look import COUNTED
from apps.metrics.models import ParitySample, PlacedProject
from apps.metrics.quality import BAR, Parity, open_incident, parity

SAMPLE = 20
Cause = ParitySample.Cause
_ZONES = dt.timedelta(hours=14)
_QUARTER = dt.timedelta(minutes=15)


def check_parity(*, run_id: int, seed: str, client: Client, now: dt.datetime) -> Parity | None:
    """Ask, compare, write down, have fetched again; below the bar an incident is opened.

    `seed`: the same one picks the same merge requests of the same rows. None where nothing could be asked.
    Asked anew for the same run, it replaces what that run found before. Raises GitlabUnavailable,
    TokenRefused.
    """
    projects = list(PlacedProject.objects.order_by("pk").values_list("pk", flat=True))
    samples = [*_merge_requests(projects, seed=seed, client=client), *_counts(projects, client=client)]
    for one in samples:
        one.run_id, one.asked_at = run_id, now
    ParitySample.objects.filter(run_id=run_id).delete()
    ParitySample.objects.bulk_create(samples, batch_size=1000)
    for entity, project in sorted({(one.entity, one.project_id) for one in samples if not one.agrees}):
        second_look.refetch(entity, project, now=now)
    found = parity(run_id) if samples else None
    if found and found.ratio < BAR:
        what = f"Parity {found.ratio:.2%}: {found.agreeing} of {found.checks} checks agree with GitLab."
        open_incident("parity", what=what, run_id=run_id, now=now)
    return found


def settle() -> int:
    """Whether mismatches agree now that their list was read again; answers how many were settled."""
    settled = []
    for one in ParitySample.objects.filter(agrees=False, agrees_now=None):
        mark = second_look.mark(one.entity, one.project_id)
        if mark and mark.dirty_at is None:
            one.agrees_now = _ours_now(one) == one.theirs
            settled.append(one)
    ParitySample.objects.bulk_update(settled, ["agrees_now"])
    return len(settled)


def _ours_now(one: ParitySample) -> str:
    if one.subject == "count":
        counted = COUNTED[one.entity]
        return str(counted.ours(one.project_id, since=one.since, until=one.until))
    rows = RawMergeRequest.objects.filter(project_id=one.project_id, deleted_at=None)
    row = rows.filter(iid=int(one.subject)).first()
    return second_look.fields(row)[one.field] if row else ""


# --- merge requests, field by field ---------------------------------------------------------------


def _merge_requests(projects: list[int], *, seed: str, client: Client) -> Iterator[ParitySample]:
    rows = RawMergeRequest.objects.filter(project_id__in=projects, deleted_at=None).order_by("pk")
    known = list(rows.values_list("pk", flat=True))
    chosen = random.Random(seed).sample(known, min(SAMPLE, len(known)))
    for row in rows.filter(pk__in=chosen):
        if mark := second_look.mark("merge_requests", row.project_id):
            yield from _fields(row, mark=mark, client=client)


def _fields(row: RawMergeRequest, *, mark: IngestionState, client: Client) -> Iterator[ParitySample]:
    whole: str = ""
    try:
        told = second_look.asked_again(row, client=client)
    except GitlabRefused:
        told, whole = {}, Cause.PERMISSION
    if told is None:
        whole = Cause.DELETED if second_look.is_open(row.project_id, client=client) else Cause.PERMISSION
    answers = told or {}
    for name, ours in second_look.fields(row).items():
        theirs = answers.get(name, "")
        agrees = not whole and ours == theirs
        cause = "" if agrees else whole or _why(ours, theirs, answers.get("updated_at", ""), mark=mark)
        place = {"entity": "merge_requests", "subject": str(row.iid), "field": name}
        yield _sample(row.project_id, mark, ours=ours, theirs=theirs, agrees=agrees, cause=cause, **place)


def _why(ours: str, theirs: str, updated: str, *, mark: IngestionState) -> str:
    """Of one field: an instant a zone away, a change after our mark, or a fault of ours."""
    if _is_a_zone_away(ours, theirs):
        return Cause.TIME_ZONE
    at = _instant(updated)
    read = mark.last_seen_updated_at
    return Cause.LATE_UPDATE if at and read and at > read else Cause.BUG


def _is_a_zone_away(ours: str, theirs: str) -> bool:
    one, other = _instant(ours), _instant(theirs)
    if one is None or other is None or one == other:
        return False
    apart = abs(one - other)
    return apart <= _ZONES and apart % _QUARTER == dt.timedelta()


def _instant(text: str) -> dt.datetime | None:
    try:
        return instant(text)
    except Unfit:
        return None


# --- counts ---------------------------------------------------------------------------------------


def _counts(projects: list[int], *, client: Client) -> Iterator[ParitySample]:
    for project in projects:
        for entity in COUNTED:
            mark = second_look.mark(entity, project)
            if mark and (sample := _count(entity, project, mark=mark, client=client)):
                yield sample


def _count(entity: str, project: int, *, mark: IngestionState, client: Client) -> ParitySample | None:
    """One check; None where GitLab does not count (it stops at 10,000 rows: then the last months do)."""
    since, until = mark.history_from, mark.last_seen_updated_at
    assert since is not None and until is not None
    more: dict[str, Any] = {"client": client, "until": until}
    place = {"entity": entity, "subject": "count", "field": "total"}
    try:
        theirs = second_look.total(entity, project, since=since, **more)
        for _ in range(4 if theirs is None and COUNTED[entity].moves else 0):
            since = since + (until - since) / 2
            theirs = second_look.total(entity, project, since=since, **more)
            if theirs is not None:
                break
    except GitlabRefused:
        ours = COUNTED[entity].ours(project, since=since, until=until)
        told = {"ours": str(ours), "theirs": "", "agrees": False, "cause": Cause.PERMISSION}
        return _sample(project, mark, since=since, **told, **place)
    if theirs is None:
        return None
    ours = COUNTED[entity].ours(project, since=since, until=until)
    cause = "" if ours == theirs else _why_counted(entity, project, ours - theirs, since=since, **more)
    told = {"ours": str(ours), "theirs": str(theirs), "agrees": ours == theirs, "cause": cause}
    return _sample(project, mark, since=since, **told, **place)


def _why_counted(
    entity: str, project: int, surplus: int, *, client: Client, since: dt.datetime, until: dt.datetime
) -> str:
    """Of a count: rows that moved past our mark, children that are counted with the rest, lost rows."""
    ask: dict[str, Any] = {"client": client, "since": since, "until": until}
    if COUNTED[entity].moves and second_look.total(
        entity, project, client=client, since=until + dt.timedelta(milliseconds=1), until=None
    ):
        return Cause.LATE_UPDATE
    if entity == "pipelines" and surplus:
        children = second_look.total(entity, project, source="parent_pipeline", **ask)
        if children == abs(surplus):
            return Cause.CHILD_PIPELINE
    return Cause.DELETED if surplus > 0 else Cause.BUG


def _sample(project: int, mark: IngestionState, **told: Any) -> ParitySample:
    bounds = {"since": mark.history_from, "until": mark.last_seen_updated_at}
    return ParitySample(project_id=project, **(bounds | told))

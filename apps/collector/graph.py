"""Reading the default branch's commit graph: from its head down to the oldest commit that anything names.

A commit pushed today may carry last year's dates, so no filter on dates tells what is new: the graph does.
We read from the head until a page holds nothing unknown, then fetch any parent that is still missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Min

from apps.collector.errors import GitlabRefused
from apps.collector.models import Branch, RawCommit, RawDeployment, RawTag
from apps.collector.normalise import Unfit, instant
from apps.collector.reading import Page, Reading
from apps.collector.rest import Pager, Rest
from apps.collector.shapes import Unread

MOST_GAPS = 500  # parents fetched one by one in a run; what is left is fetched in the next


@dataclass(frozen=True)
class Graph:
    """The commits of the default branch.

    `detail`: the query that costs more and is asked for recent pages only.
    """

    path: str
    detail: dict[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ("id", "parent_ids", "committed_date")
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """Newest first from the head, then the gaps."""
        if not reading.place.default_branch or reading.place.empty:
            return iter(())
        return _Walk(self, reading).pages()


class _Walk:
    def __init__(self, source: Graph, reading: Reading) -> None:
        self._source, self._reading = source, reading
        self._project = reading.place.project_id
        self._read: set[int] = set()  # what this reading met, of which not all is stored yet
        self._floor = _floor(self._project, reading.since)
        self._reached = instant(reading.cursor["floor"]) if reading.cursor.get("floor") else None
        self._lost: set[str] = set(reading.cursor.get("lost", ()))
        self._missing: set[str] = _missing_parents(self._project, self._floor) - self._lost

    def pages(self) -> Iterator[Page]:
        head = _head(self._project, self._reading.place.default_branch)
        deeper = self._reached is None or self._floor < self._reached
        if deeper or head is None or head not in self._known([head]):
            yield from self._down(self._reading.place.default_branch or "", deeper=deeper)
        yield from self._gaps()

    def _down(self, start: str, *, deeper: bool) -> Iterator[Page]:
        pager = self._pager({"ref_name": start})
        detail: dict[str, Any] = dict(self._source.detail)
        while True:
            answer = pager.ask(detail)
            rows = _commits(answer.value)
            new = len(rows) > len(self._known([row.id for row in rows]))
            moments = [moment for row in rows if (moment := _committed(row))]
            more = pager.has_more(answer)
            below = bool(moments) and max(moments) < self._floor
            done = not more or below or (not new and not deeper)
            self._take(rows)
            yield self._page(pager, answer, floor=None if not done else self._floor if more else EPOCH)
            if done:
                return
            if moments and max(moments) < self._reading.since:
                detail = {}
            pager.number += 1

    def _gaps(self) -> Iterator[Page]:
        """Parents that the walk by date did not meet: branches of long ago, merged lately."""
        for _ in range(MOST_GAPS):
            if not self._missing:
                return
            sha = min(self._missing)
            pager = self._pager({"ref_name": sha})
            try:
                answer = pager.ask({})
            except GitlabRefused:
                self._forget(sha)  # a shallow or grafted history ends here
                continue
            rows = _commits(answer.value)
            self._take(rows)
            if sha in self._missing:
                self._forget(sha)  # the server does not take a SHA for a ref
            yield self._page(pager, answer, floor=None)

    def _forget(self, sha: str) -> None:
        self._missing.discard(sha)
        self._lost.add(sha)

    def _known(self, commits: Collection[str]) -> set[str]:
        """Of these commits, those stored or read just now: the whole of a history may be too much to hold."""
        stored = RawCommit.objects.filter(project_id=self._project, commit_id__in=commits)
        return {sha for sha in commits if _short(sha) in self._read} | set(
            stored.values_list("commit_id", flat=True)
        )

    def _take(self, rows: list[Any]) -> None:
        self._read.update(_short(row.id) for row in rows)
        self._missing.difference_update(row.id for row in rows)
        parents = {
            parent
            for row in rows
            if (moment := _committed(row)) is None or moment >= self._floor
            for parent in (row.parent_ids if isinstance(row.parent_ids, list) else ())
            if isinstance(parent, str) and "\0" not in parent
        }
        self._missing |= parents - self._known(parents) - self._lost

    def _pager(self, query: dict[str, Any]) -> Pager:
        return Pager(Rest(self._source.path, query=query), self._reading)

    def _page(self, pager: Pager, answer: Any, *, floor: dt.datetime | None) -> Page:
        if floor is not None:
            self._reached = min(floor, self._reached) if self._reached else floor
        floor_text = self._reached.isoformat() if self._reached else ""
        return pager.page(answer, cursor={"floor": floor_text, "lost": sorted(self._lost)})


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _committed(row: Any) -> dt.datetime | None:
    try:
        return instant(row.committed_date)
    except Unfit:
        return None


def _head(project_id: int, branch: str | None) -> str | None:
    return (
        Branch.objects.filter(project_id=project_id, branch=branch).values_list("head_sha", flat=True).first()
    )


_MISSING_PARENTS = """
    select distinct parent
      from raw_commit c
      cross join unnest(c.parent_ids) parent
     where c.project_id = %(project)s and c.committed_at >= %(floor)s
       and not exists (select from raw_commit k where k.project_id = %(project)s and k.commit_id = parent)
"""


def _missing_parents(project_id: int, floor: dt.datetime) -> set[str]:
    """Every parent that a stored commit at or above the floor names, and that is not stored."""
    with connection.cursor() as cursor:
        cursor.execute(_MISSING_PARENTS, {"project": project_id, "floor": floor})
        return {parent for (parent,) in cursor.fetchall()}


def _commits(rows: list[Any]) -> list[Any]:
    """The rows that are commits; what is none goes to the quarantine when the page is stored."""
    return [row for row in rows if not isinstance(row, Unread) and isinstance(row.id, str)]


def _short(sha: str) -> int:
    """The first 60 bits: a set of millions of them is small, and no two commits of a project share them."""
    try:
        return int(sha[:15], 16)
    except ValueError:
        return hash(sha)


def _floor(project_id: int, since: dt.datetime) -> dt.datetime:
    """How far down the graph is wanted: history, the oldest tag, the oldest deployment that worked."""
    tags = RawTag.objects.filter(project_id=project_id).aggregate(oldest=Min("committed_at"))["oldest"]
    deployments = RawDeployment.objects.filter(project_id=project_id, status="success")
    deployed = deployments.aggregate(oldest=Min("created_at"))["oldest"]
    return min(moment for moment in (since, tags, deployed) if moment is not None)

"""Bring one project's raw rows up to date. Knows no endpoint by name: the table says everything."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
import structlog
from django.db import transaction

from apps.collector import branches, people
from apps.collector.client import Client
from apps.collector.details import Route
from apps.collector.endpoints import ENDPOINTS, Endpoint
from apps.collector.errors import GitlabRefused, RouteRefused
from apps.collector.exclusions import ACTIVE_FOR, admit, exclude, is_active
from apps.collector.marks import Mark
from apps.collector.models import Project
from apps.collector.reading import Page, Place, Reading
from apps.collector.rest import iso
from apps.collector.server import Abilities
from apps.collector.shapes import Reader
from apps.collector.tables import rows_of
from apps.collector.upsert import quarantine, upsert
from tem.errors import TemError

log = structlog.get_logger(__name__)


class Progress(Protocol):
    """Where the counts of a step go; called in the transaction of each page."""

    def save(self, *, rows: int = 0, requests: int = 0, cursor: dict[str, Any] | None = None) -> None:
        """Add to the counts and extend the lease; raises where the step is no longer ours."""


def collect(
    project_id: int,
    *,
    client: Client,
    since: dt.datetime,
    step: Progress,
    reread: dt.timedelta = dt.timedelta(),
) -> None:
    """Read everything that changed in a project, or since the start of history what was not read yet.

    `reread`: go back this much further than the marks, for what changed without a trace in `updated_at`.
    Raises TokenRefused, GitlabUnavailable (wait, then call again: it goes on where it stood), and
    GitlabRefused when the project as a whole is closed to us; that is recorded as its exclusion.
    """
    project = Project.objects.get(pk=project_id)
    collection = _Collection(project, client=client, since=since, step=step, reread=reread)
    for endpoint in ENDPOINTS:
        collection.read(endpoint)
    was_active = collection.was_active_before_history()
    with transaction.atomic():
        branches.observe_heads(project_id, now=collection.now)
        people.link_authors(project_id)
        admit(project_id, now=collection.now, was_active=was_active)
        step.save(requests=collection.new_requests())


class _Collection:
    """One call of collect: the project, what the server can do, and the requests not yet counted."""

    def __init__(
        self, project: Project, *, client: Client, since: dt.datetime, step: Progress, reread: dt.timedelta
    ) -> None:
        self._project, self._client, self._step = project, client, step
        self._since, self._reread = since, reread
        self._abilities = Abilities.of(client.url)
        self._place = place_of(project)
        self._counted = client.requests
        self._is_open: bool | None = None
        self._known: set[tuple[str, ...]] = set()
        self.now = client.server_time

    def read(self, endpoint: Endpoint) -> None:
        """One entity, by every route that the server has; each takes what the ones before left."""
        mark = self._mark(endpoint.name)
        if endpoint.feature and self._place.features.get(endpoint.feature) == "disabled":
            mark.refuse("feature_disabled")
            return
        try:
            for route in endpoint.routes:
                self._by(endpoint, route, mark)
        except GitlabRefused as refusal:
            self._narrow(endpoint, mark, refusal)

    def _by(self, endpoint: Endpoint, route: Route, mark: Mark) -> None:
        if not self._abilities.has(route.source.needs) or self._abilities.refused(endpoint.name, route.name):
            return
        try:
            self._scan(endpoint, route, mark, {})
            for query in route.source.once(self._place) if route.source.once else ():
                name = ",".join(f"{key}={value}" for key, value in sorted(query.items()))
                extra = self._mark(f"{endpoint.name}:{name}"[:64])
                if not extra.is_complete:
                    self._scan(endpoint, route, extra, query)
        except RouteRefused as refusal:
            if route is endpoint.routes[-1]:
                raise
            log.warning("route refused", entity=endpoint.name, route=route.name, reason=str(refusal))
            if refusal.lasting:
                self._abilities.remember_refusal(endpoint.name, route.name, str(refusal))

    def _scan(self, endpoint: Endpoint, route: Route, mark: Mark, query: dict[str, Any]) -> None:
        """All pages of one list; the mark moves with the last."""
        history = EVER if query else self._since
        reading = Reading(
            client=self._client,
            place=self._place,
            reader=reader_of(route),
            since=max(history, mark.start(history) - self._reread),
            cursor=mark.cursor(history),
            server_fields=self._abilities.fields,
            query=query,
        )
        reading.started = mark.started() if reading.cursor else None
        for page, is_last in _with_last(_in_groups(route.source.pages(reading))):
            self.now = page.now
            self._store(endpoint, route, page, reading, mark, is_last=is_last)

    def _store(
        self, endpoint: Endpoint, route: Route, page: Page, reading: Reading, mark: Mark, *, is_last: bool
    ) -> None:
        """Rows, removals, quarantine, mark and progress of a page: all or nothing."""
        history = EVER if reading.query else self._since
        started = reading.started or page.now
        with transaction.atomic():
            known = set(self._known)
            written = store(route, page, project_id=self._project.pk, snapshot=endpoint.snapshot, known=known)
            if is_last:
                mark.finish(page.cursor, history=history, started=started)
            else:
                mark.reach(page.cursor, history=history, started=started)
            self._step.save(rows=written, requests=self.new_requests())
        self._known = known  # only now: what is rolled back is not known

    def _narrow(self, endpoint: Endpoint, mark: Mark, refusal: GitlabRefused) -> None:
        """Is it this entity that is closed, or the project? Asked once, and only after a refusal."""
        if self._place.empty and endpoint.feature == "repository":
            return  # a repository without a commit answers 404 to some questions
        if self._is_open is None:
            self._is_open = self._project_answers()
        if not self._is_open:
            exclude(self._project.pk, reason="no_access", detail=str(refusal), now=self.now)
            raise GitlabRefused(
                f"GitLab does not show {self._project}: {refusal}", reason="no_access"
            ) from refusal
        level = self._place.features.get(endpoint.feature)
        mark.refuse("no_access" if level in ("enabled", "private", "public") else "feature_disabled")
        log.info("entity unavailable", project=str(self._project), entity=endpoint.name, reason=str(refusal))

    def _project_answers(self) -> bool:
        try:
            answer = self._client.get(f"/projects/{self._project.pk}", query={}, decode=bytes)
        except GitlabRefused:
            return False
        self.now = answer.server_time
        return True

    def was_active_before_history(self) -> bool:
        """Whether a merge request moved in the last 90 days, where history is too short to tell."""
        recent = self.now - ACTIVE_FOR
        if self._since <= recent or is_active(self._project.pk, now=self.now) or self._project.archived:
            return False
        path, query = f"/projects/{self._project.pk}/merge_requests", {"scope": "all", "per_page": 1}
        try:
            answer = self._client.get(
                path, query={**query, "updated_after": iso(recent)}, decode=msgspec.json.decode
            )
        except GitlabRefused:
            return False
        return bool(answer.value)

    def _mark(self, entity: str) -> Mark:
        return Mark.of(level="project", level_id=self._project.pk, entity=entity)

    def new_requests(self) -> int:
        """Requests since this was last asked."""
        counted, self._counted = self._counted, self._client.requests
        return self._counted - counted


GROUP, GROUP_S = 250, 3.0  # documents to a transaction, and how long they may take to arrive
EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_READERS: dict[int, Reader] = {}


def reader_of(route: Route) -> Reader:
    """The decoder of a route's documents, built once in a process."""
    if id(route) not in _READERS:
        paths = [path for table in route.tables for path in table.paths]
        _READERS[id(route)] = Reader(route.name, [*paths, *route.source.paths])
    return _READERS[id(route)]


def place_of(project: Project) -> Place:
    """What paths, queries and refusals need to know of a project."""
    return Place(
        project_id=project.pk,
        path=project.path_with_namespace,
        default_branch=project.default_branch,
        empty=bool(project.empty_repo),
        features={
            "repository": project.repository_access_level,
            "merge_requests": project.merge_requests_access_level,
            "issues": project.issues_access_level,
            "builds": project.builds_access_level,
        },
    )


def store(
    route: Route,
    page: Page,
    *,
    project_id: int | None,
    snapshot: bool = False,
    known: set[tuple[str, ...]] | None = None,
) -> int:
    """Write a page's rows; answers how many are new or changed. Inside a transaction.

    Where a row could not be read nothing is removed: it may be one of those that look absent. `known`: rows
    of recurring tables that were written before; those of this page are added.
    """
    written = 0
    for table in route.tables:
        harvest = rows_of(table, page.documents)
        rows, whole = list(harvest.rows.values()), harvest.replaced
        if snapshot and page.whole and not table.is_nested and not harvest.refused:
            whole = [project_id]
        if table.recurs and known is not None:
            rows = [row for row in rows if row not in known]
            known.update(rows)
        written += upsert(table, rows, now=page.now, whole=whole)
        if harvest.refused:
            quarantine(harvest.refused, project_id=project_id, now=page.now)
    return written


def _in_groups(pages: Iterator[Page]) -> Iterator[Page]:
    """Small pages put together, so that a transaction is worth its while; what was read is never dropped."""
    group: list[Page] = []
    began = time.monotonic()
    try:
        for page in pages:
            group.append(page)
            size, waited_s = sum(len(one.documents) for one in group), time.monotonic() - began
            if size >= GROUP or waited_s >= GROUP_S:
                yield _together(group)
                group, began = [], time.monotonic()
    except TemError:
        if group:
            yield _together(group)
        raise
    if group:
        yield _together(group)


def _together(group: list[Page]) -> Page:
    documents = [document for page in group for document in page.documents]
    last = group[-1]
    return Page(documents=documents, now=last.now, cursor=last.cursor, whole=last.whole and len(group) == 1)


def _with_last(pages: Iterator[Page]) -> Iterator[tuple[Page, bool]]:
    """Each page with whether it is the last; what was read is stored even if the next cannot be."""
    before, trouble = next(pages, None), None
    while before is not None:
        following = None
        try:
            following = next(pages, None)
        except TemError as error:
            trouble = error
        yield before, following is None and trouble is None
        if trouble is not None:
            raise trouble
        before = following

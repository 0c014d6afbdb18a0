"""Before the projects are read one by one: what a few requests for a whole group tell of all of them.

Lists of merge requests and issues are read for the group at once. A probe says which projects saw no push,
no pipeline, no release. What was seen whole, or proved to be at rest, has its mark moved, so that the
project's own collection need not ask. A project that the group's answers do not cover is read as ever.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from django.db import transaction

from apps.collector.client import Client
from apps.collector.closing_check import check_closing_words
from apps.collector.collect import LISTS_AT_ONCE
from apps.collector.details_ci import PIPELINES_OF_PROJECTS, UNFINISHED_PIPELINES
from apps.collector.details_mr import GROUP_DETAILS, GROUP_DETAILS_OF_OPEN
from apps.collector.endpoint import Endpoint
from apps.collector.endpoints import (
    CHILD_PIPELINES,
    ENDPOINTS,
    GROUP_ENDPOINTS,
    MERGE_REQUESTS,
    PIPELINES,
)  # fmt: skip
from apps.collector.errors import GitlabRefused, RouteRefused
from apps.collector.harvest import project_in
from apps.collector.marks import AGAIN, EVER, PIPELINES_AGAIN, Mark, begin, name_of, prove
from apps.collector.models import Project, Quarantine
from apps.collector.places import numbers_of_projects
from apps.collector.reading import Page, Place, Reading, Started
from apps.collector.rest import Rest, moment_of
from apps.collector.route import Route
from apps.collector.server import Abilities
from apps.collector.shapes import Unread
from apps.collector.storing import in_groups, reader_of, store
from apps.collector.witnesses import Probe
from apps.runs.ledger import Progress
from tem.threads import ThreadPoolExecutor

log = structlog.get_logger(__name__)
DETAILS, UNFINISHED = AGAIN.partition(":")[0], PIPELINES_AGAIN.partition(":")[0]
OPEN = ("enabled", "private", "public")  # levels of a part of a project that is switched on
FIRST_LOOK = dt.timedelta(days=2)  # how far back where a group was never swept; older marks are read singly


def sweep(
    *, client: Client, root_groups: Sequence[str], step: Progress, reread: dt.timedelta, again: bool
) -> dt.datetime:
    """Look at each root group; answers the server's time before which nothing was looked at.

    `reread` and `again` as for a project's collection. A group that refuses is left to its projects. Raises
    TokenRefused, GitlabUnavailable.
    """
    began = client.server_time
    if again:
        check_closing_words(client)
    for group in root_groups:
        try:
            found = client.get(
                f"/groups/{quote(group, safe='')}", query={"with_projects": "false"}, decode=_GROUP
            )
            began = min(began, found.server_time)
            _Sweep(group, found.value.id, client=client, step=step, again=again).run(reread=reread)
        except GitlabRefused as refusal:
            log.warning("group not swept", group=group, reason=str(refusal))
    return began


class _Group(msgspec.Struct):
    id: int


_GROUP = msgspec.json.Decoder(_Group).decode


@dataclass
class _Proof:
    """Entity -> the projects that it was seen whole for, or at rest in."""

    until: dt.datetime
    projects: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, entities: Iterable[str], projects: Iterable[int]) -> None:
        for entity in entities:
            self.projects[entity].update(projects)


class _Sweep:
    """One look at one group."""

    def __init__(self, path: str, number: int, *, client: Client, step: Progress, again: bool) -> None:
        self._path, self._client, self._step, self._again = path, client, step, again
        self._abilities = Abilities.of(client.url)
        self._mark = Mark.of(level="group", level_id=number, entity="sweep")
        self._counted = client.requests
        known = Project.objects.filter(in_scope=True, path_with_namespace__startswith=f"{path}/")
        self._projects = {project.pk: project for project in known.exclude(archived=True)}
        self._place = Place(
            group=quote(path, safe=""),
            path=path,
            paths={number: project.path_with_namespace for number, project in self._projects.items()},
            numbers=numbers_of_projects(),
        )

    def run(self, *, reread: dt.timedelta) -> None:
        """Lists, then the probe; the marks move when all of it was read."""
        if not self._projects:
            return
        now = self._client.server_time.replace(microsecond=0)  # as exact as the header that projects go by
        since = self._mark.start(now - FIRST_LOOK)
        proof = _Proof(until=now)
        self._lists(proof, since=since, reread=reread)
        self._details(proof)
        probe = Probe(self._projects, heads=self._mark.cursor(since).get("heads", {}), again=self._again)
        probe.ask(self._path, client=self._client, abilities=self._abilities, since=since)
        for witness, projects in probe.proved.items():
            proof.add((one.name for one in ENDPOINTS if one.witness == witness), projects)
        self._pipelines(proof, probe.proved, since=since)
        with transaction.atomic():
            for entity in (AGAIN, PIPELINES_AGAIN):
                begin(entity, proof.projects.get(entity, ()), history=EVER)
            for entity, projects in sorted(proof.projects.items()):
                prove(entity, sorted(projects), since=EVER if ":" in entity else since, until=proof.until)
            self._mark.finish({"heads": probe.heads}, history=since, started=proof.until)
            self._step.save(requests=self._new_requests())

    def _lists(self, proof: _Proof, *, since: dt.datetime, reread: dt.timedelta) -> None:
        """All lists of the group, on their way at once."""
        threads = ThreadPoolExecutor(max_workers=LISTS_AT_ONCE)
        begun: list[tuple[Endpoint, list[tuple[dict[str, Any], Started]]]] = []
        try:
            for endpoint in GROUP_ENDPOINTS:
                source: Rest = endpoint.routes[0].source
                queries = [{}, *(dict(query) for query in source.open if self._again)]
                readings = [
                    self._reading(
                        endpoint.routes[0], since=EVER if query else since - reread, query=query, again=False
                    )
                    for query in queries
                ]
                started = [Started(source.pages(reading), threads=threads) for reading in readings]
                begun.append((endpoint, list(zip(queries, started, strict=True))))
            for endpoint, lists in begun:
                self._list(endpoint, lists, proof, since=since)
        finally:
            for _, lists in begun:
                for _, started_one in lists:
                    started_one.stop()
            threads.shutdown(wait=False, cancel_futures=True)

    def _list(
        self,
        endpoint: Endpoint,
        lists: list[tuple[dict[str, Any], Started]],
        proof: _Proof,
        *,
        since: dt.datetime,
    ) -> None:
        """Store a list, plain and by its further queries; who refuses is asked project by project."""
        covered = {pk for pk, project in self._projects.items() if _is_on(project, endpoint)}
        moved: set[int] = set()
        try:
            for query, started in lists:
                found = self._store(endpoint, started.pages(), changed_after=since)
                moved |= set() if query else found
        except GitlabRefused as refusal:
            log.info("list not swept", group=self._path, entity=endpoint.name, reason=str(refusal))
            return
        names = [name_of(endpoint.name, query) if query else endpoint.name for query, _ in lists]
        proof.add(names, covered)
        proof.add((one.name for one in ENDPOINTS if one.follows == endpoint.feature), covered - moved)

    def _details(self, proof: _Proof) -> None:
        """Details of what changed, and of what is open once a night; the rest stays due for its project."""
        covered = [pk for pk, project in self._projects.items() if _is_on(project, MERGE_REQUESTS)]
        try:
            if self._abilities.has(GROUP_DETAILS.source.needs):
                self._read_details(GROUP_DETAILS, again=False)
                if self._again:
                    self._read_details(GROUP_DETAILS_OF_OPEN, again=True)
                    proof.add([AGAIN], covered)
        except RouteRefused as refusal:
            log.info("details not swept", group=self._path, reason=str(refusal))

    def _pipelines(self, proof: _Proof, at_rest: Mapping[str, set[int]], *, since: dt.datetime) -> None:
        """Pipelines of many projects at once, with their jobs; one with too many is left to itself."""
        on = [pk for pk, project in self._projects.items() if project.builds_access_level in OPEN]
        try:
            if self._abilities.has(UNFINISHED_PIPELINES.source.needs) and self._again:
                self._read_details(UNFINISHED_PIPELINES, endpoint=UNFINISHED, again=True)
                proof.add([PIPELINES_AGAIN], on)
            if self._abilities.has(PIPELINES_OF_PROJECTS.source.needs):
                for endpoint, query in ((PIPELINES, {}), (CHILD_PIPELINES, {"source": "parent_pipeline"})):
                    moved = [pk for pk in on if pk not in at_rest.get(endpoint.witness, ())]
                    proof.add(
                        [endpoint.name], self._read_pipelines(endpoint, moved, since=since, query=query)
                    )
        except RouteRefused as refusal:
            log.info("pipelines not swept", group=self._path, reason=str(refusal))

    def _read_pipelines(
        self, endpoint: Endpoint, projects: list[int], *, since: dt.datetime, query: dict[str, Any]
    ) -> set[int]:
        """The projects of which all changed pipelines were stored."""
        route, read = PIPELINES_OF_PROJECTS, set[int]()
        reading = self._reading(route, since=since, query=query, again=False)
        for page in route.source.pages(reading, projects):
            with transaction.atomic():
                written = store(route, page, project_id=None, endpoint=endpoint.name)
                self._step.save(rows=written, requests=self._new_requests())
            read |= page.read - _quarantined(endpoint, page.now)
        return read

    def _read_details(self, route: Route, *, endpoint: str = DETAILS, again: bool) -> None:
        reading = self._reading(route, since=EVER, query={}, again=again)
        for page in in_groups(route.source.pages(reading)):
            with transaction.atomic():
                written = store(route, page, project_id=None, endpoint=endpoint)
                self._step.save(rows=written, requests=self._new_requests())

    def _reading(self, route: Route, *, since: dt.datetime, query: dict[str, Any], again: bool) -> Reading:
        return Reading(
            client=self._client, place=self._place, reader=reader_of(route), since=since, cursor={},
            server_fields=self._abilities.fields, query=query, again=again,
        )  # fmt: skip

    def _store(self, endpoint: Endpoint, pages: Iterator[Page], *, changed_after: dt.datetime) -> set[int]:
        """Store a list; answers the projects of which a row changed at or after a moment."""
        moved: set[int] = set()
        for page in pages:
            with transaction.atomic():
                written = store(endpoint.routes[0], page, project_id=None, endpoint=endpoint.name)
                self._step.save(rows=written, requests=self._new_requests())
            moved |= _moved(page.documents, changed_after)
        return moved

    def _new_requests(self) -> int:
        counted, self._counted = self._counted, self._client.requests
        return self._counted - counted


def _quarantined(endpoint: Endpoint, now: dt.datetime) -> set[int | None]:
    """Projects with a row that an answer of this moment brought and that could not be held."""
    refused = Quarantine.objects.filter(endpoint=endpoint.name, first_seen_at=now)
    return set(refused.values_list("project_id", flat=True))


def _is_on(project: Project, endpoint: Endpoint) -> bool:
    level = getattr(project, f"{endpoint.feature}_access_level")
    return level in OPEN


def _moved(documents: Iterable[tuple[Any, Any]], after: dt.datetime) -> set[int]:
    """Whose rows moved; one that cannot be read counts as moved."""
    moved: set[int] = set()
    for row, _ in documents:
        project = project_in(row.payload) if isinstance(row, Unread) else row.project_id
        at = moment_of(row, "updated_at")
        if isinstance(project, int) and (at is None or at >= after):
            moved.add(project)
    return moved

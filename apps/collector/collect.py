"""Bring one project's raw rows up to date. Knows no endpoint by name: the table says everything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction

from apps.collector import branches, people, replay
from apps.collector.client import Client
from apps.collector.endpoint import Endpoint
from apps.collector.endpoints import ENDPOINTS
from apps.collector.errors import GitlabRefused, RouteRefused
from apps.collector.exclusions import admit, was_active_before_history
from apps.collector.gone import Seen
from apps.collector.marks import EVER, Mark, name_of, prove
from apps.collector.models import Project
from apps.collector.places import place_of
from apps.collector.reading import Page, Place, Reading, Started
from apps.collector.refusals import Refusals
from apps.collector.rest import Rest
from apps.collector.route import Route
from apps.collector.server import Abilities
from apps.collector.storing import in_groups, reader_of, store, with_last
from apps.runs.ledger import Progress
from tem.threads import ThreadPoolExecutor

log = structlog.get_logger(__name__)
LISTS_AT_ONCE = 4
LATELY = dt.timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """How much a collection takes on trust.

    `fresh`: what was read or proved to be at rest since then (server time) is not read again; None: nothing
    is. `reread`: go back this much further than the marks, for what changed without a trace. `again`: look at
    everything open once more. `sweep`: list all of history, and mark the rows that GitLab lost.
    """

    fresh: dt.datetime | None = None
    reread: dt.timedelta = dt.timedelta()
    again: bool = False
    sweep: bool = False


PLAIN = Thoroughness()


def collect(
    project_id: int,
    *,
    client: Client,
    since: dt.datetime,
    step: Progress,
    thoroughness: Thoroughness = PLAIN,
) -> None:
    """Read everything that changed in a project, or since the start of history what was not read yet.

    Raises TokenRefused, GitlabUnavailable (wait, then call again: it goes on where it stood), and
    GitlabRefused when the project as a whole is closed to us; that is recorded as its exclusion.
    """
    project = Project.objects.get(pk=project_id)
    collection = _Collection(project, client=client, since=since, step=step, how=thoroughness)
    collection.read_all()
    collection.refusals.judge(client, now=collection.now)
    was_active = was_active_before_history(project, client=client, since=since, now=collection.now)
    with transaction.atomic():
        collection.seen.mark_gone(now=collection.now)
        branches.observe_heads(project_id, now=collection.now)
        people.link_authors(project_id)
        replay.renew(project_id)
        admit(project_id, now=collection.now, was_active=was_active, settled=collection.is_settled)
        step.save(requests=collection.new_requests())


class _Collection:
    """One call of collect: the project, what the server can do, and the requests not yet counted."""

    def __init__(
        self, project: Project, *, client: Client, since: dt.datetime, step: Progress, how: Thoroughness
    ) -> None:
        self._project, self._client, self._step, self._how = project, client, step, how
        self._since = since
        self._abilities = Abilities.of(client.url)
        self._place = place_of(project)
        self._counted = client.requests
        self.refusals = Refusals(project, self._place)
        self._known: set[tuple[str, ...]] = set()
        self._started: dict[str, tuple[Reading, Started]] = {}
        self.seen = Seen(project.pk)
        self.now = client.server_time
        self._together = [one for one in ENDPOINTS if one.covers and self._is_cheaper(one)]

    def read_all(self) -> None:
        """Every entity in the table's order; plain lists are on their way before it is their turn."""
        threads = ThreadPoolExecutor(max_workers=LISTS_AT_ONCE)
        try:
            self._start(threads)
            for endpoint in ENDPOINTS:
                self._read(endpoint)
            self.seen.verify(self._client)
        finally:
            for _, started in self._started.values():
                started.stop()
            threads.shutdown(wait=False, cancel_futures=True)

    # --- which, and by what route ------------------------------------------------------------

    def _read(self, endpoint: Endpoint) -> None:
        """One entity, by every route that the server has; each takes what the ones before left."""
        mark = self._mark(endpoint.name)
        if endpoint.feature and self._place.features.get(endpoint.feature) == "disabled":
            mark.refuse("feature_disabled")
            return
        if not self._is_wanted(endpoint, mark):
            return
        again = mark.is_dirty or self._looks_again(self._mark(f"{endpoint.name}:again"))
        try:
            for route in endpoint.routes:
                was_read = self._by(endpoint, route, mark, again=again)
                again = again and not was_read  # what is open is looked at by one route, not by each
        except GitlabRefused as refusal:
            if not endpoint.covers:  # else each is asked for by itself
                self.refusals.add(endpoint, mark, refusal)
            return
        mark.open()

    def _is_wanted(self, endpoint: Endpoint, mark: Mark) -> bool:
        if endpoint.covers:
            return endpoint in self._together
        if self._how.sweep or endpoint.name in self._started:
            return True
        if mark.is_fresh(self._how.fresh, history=self._since):
            self.refusals.rested = True
            return False
        if endpoint.needed is None or not mark.is_whole(history=self._since) or self._how.fresh is None:
            return True
        return mark.is_dirty or endpoint.needed(self._project.pk, mark.start(self._since))

    def _is_cheaper(self, endpoint: Endpoint) -> bool:
        """Whether all that it covers was read lately, and more than one of those would be asked for now."""
        covered = [(one, self._mark(one.name)) for one in ENDPOINTS if one.name in endpoint.covers]
        if self._how.fresh is None or self._how.sweep or not all(self._is_usual(*one) for one in covered):
            return False
        return sum(not mark.is_fresh(self._how.fresh, history=self._since) for _, mark in covered) > 1

    def _is_usual(self, endpoint: Endpoint, mark: Mark) -> bool:
        lately = self._how.fresh is not None and mark.start(self._since) >= self._how.fresh - LATELY
        is_on = self._place.features.get(endpoint.feature) != "disabled"
        return is_on and lately and mark.is_whole(history=self._since) and not mark.is_dirty

    def _by(self, endpoint: Endpoint, route: Route, mark: Mark, *, again: bool) -> bool:
        """Whether the server has this way to the entity, and it was read."""
        if not self._has(endpoint, route):
            return False
        try:
            if getattr(route.source, "plain", True):
                self._scan(endpoint, route, mark, {}, again=again)
            for query, is_open in _further(route, self._place):
                extra = self._mark(name_of(endpoint.name, query))
                if not extra.is_complete or (is_open and self._looks_again(extra)):
                    self._scan(endpoint, route, extra, query)
        except RouteRefused as refusal:
            if route is endpoint.routes[-1]:
                raise
            log.warning("route refused", entity=endpoint.name, route=route.name, reason=str(refusal))
            if refusal.lasting:
                self._abilities.remember_refusal(endpoint.name, route.name, str(refusal))
            return False
        return bool(route.tables)

    def _has(self, endpoint: Endpoint, route: Route) -> bool:
        known = self._abilities
        return known.has(route.source.needs) and not known.refused(endpoint.name, route.name)

    def _looks_again(self, mark: Mark) -> bool:
        return self._how.again and not mark.is_fresh(self._how.fresh, history=EVER)

    # --- reading -----------------------------------------------------------------------------

    def _start(self, threads: ThreadPoolExecutor) -> None:
        """Begin to read plain lists that are wanted for sure; what depends on others waits its turn.

        Threads take them in the order in which they are stored, so the one that is waited for is under way.
        """
        for endpoint in ENDPOINTS:
            route = endpoint.routes[0]
            if not isinstance(route.source, Rest):
                continue
            if not route.source.plain or any(endpoint.name in one.covers for one in self._together):
                continue
            if self._place.features.get(endpoint.feature) == "disabled" or not self._has(endpoint, route):
                continue
            mark = self._mark(endpoint.name)
            if endpoint.needed is None and self._is_wanted(endpoint, mark):
                reading = self._reading(route, mark, {}, again=False)  # a plain list knows no details
                if endpoint.covers:
                    reading.since = min(self._mark(name).start(self._since) for name in endpoint.covers)
                started = Started(route.source.pages(reading), threads=threads)
                self._started[endpoint.name] = (reading, started)

    def _reading(self, route: Route, mark: Mark, query: dict[str, Any], *, again: bool) -> Reading:
        history = EVER if query else self._since
        start = history if self._how.sweep else max(history, mark.start(history) - self._how.reread)
        reading = Reading(
            client=self._client,
            place=self._place,
            reader=reader_of(route),
            since=start,
            cursor=mark.cursor(history),
            server_fields=self._abilities.fields,
            query=query,
            again=again,
            history=history,
        )
        reading.started = mark.started() if reading.cursor else None
        if self._how.sweep and isinstance(route.source, Rest):
            reading.cursor, reading.started = {}, None
        return reading

    def _pages(
        self, endpoint: Endpoint, route: Route, mark: Mark, query: dict[str, Any], *, again: bool
    ) -> tuple[Reading, Iterator[Page]]:
        if not query and route is endpoint.routes[0] and endpoint.name in self._started:
            reading, started = self._started[endpoint.name]
            return reading, started.pages()
        reading = self._reading(route, mark, query, again=again)
        return reading, route.source.pages(reading)

    def _scan(
        self, endpoint: Endpoint, route: Route, mark: Mark, query: dict[str, Any], *, again: bool = False
    ) -> None:
        """All pages of one list; the mark moves with the last."""
        reading, pages = self._pages(endpoint, route, mark, query, again=again)
        for page, is_last in with_last(in_groups(pages)):
            self.now = page.now
            if isinstance(route.source, Rest):  # other sources may ask other projects, or have no path
                self.refusals.answered = self.refusals.answered or reading.path(route.source.path)
            self._store(endpoint, route, page, reading, mark, is_last=is_last)
        mark.clear_hint()

    def _store(
        self, endpoint: Endpoint, route: Route, page: Page, reading: Reading, mark: Mark, *, is_last: bool
    ) -> None:
        """Rows, removals, quarantine, mark and progress of a page: all or nothing."""
        history = EVER if reading.query else self._since
        started = reading.started or page.now
        with transaction.atomic():
            known = set(self._known)
            written = store(
                route,
                page,
                project_id=self._project.pk,
                endpoint=endpoint.name,
                snapshot=endpoint.snapshot,
                known=known,
            )
            if is_last:
                mark.finish(page.cursor, history=history, started=started)
                for name in endpoint.covers:
                    prove(name, [self._project.pk], since=reading.since, until=started)
            else:
                mark.reach(page.cursor, history=history, started=started)
            self._step.save(rows=written, requests=self.new_requests())
        self._known = known  # only now: what is rolled back is not known
        if self._how.sweep and endpoint.single:
            self.seen.add(endpoint, page.documents, is_whole=is_last and not reading.query)

    @property
    def is_settled(self) -> bool:
        """Archived, and everything that it will ever have was read."""
        return bool(self._project.archived) and not self.refusals

    def _mark(self, entity: str) -> Mark:
        return Mark.of(level="project", level_id=self._project.pk, entity=entity)

    def new_requests(self) -> int:
        """Requests since this was last asked."""
        counted, self._counted = self._counted, self._client.requests
        return self._counted - counted


def _further(route: Route, place: Place) -> Iterator[tuple[dict[str, Any], bool]]:
    """Queries beside the main one, and whether they are for what is open."""
    if isinstance(route.source, Rest):
        yield from ((dict(query), True) for query in route.source.open)
        yield from ((query, False) for query in (route.source.once(place) if route.source.once else ()))

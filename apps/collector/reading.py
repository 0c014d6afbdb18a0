"""One reading of one endpoint for one project: what a source is given, and the pages it hands back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from apps.collector.client import Client
from apps.collector.shapes import Reader
from apps.collector.tables import Document, given_for

PER_PAGE = 100
IN_FLIGHT = 2  # requests on their way while a page is being stored; GitLab asks for few GraphQL ones at once

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """The project (or group) that is read, as far as paths and queries name it."""

    project_id: int = 0
    group: str = ""  # URL-encoded
    path: str = ""
    default_branch: str | None = None
    features: Mapping[str, str | None] = field(default_factory=dict)
    empty: bool = False


@dataclass
class Page:
    """Documents to be stored together. `whole`: they are all there are, rows beyond them are gone."""

    documents: list[Document]
    now: dt.datetime
    cursor: dict[str, Any] = field(default_factory=dict)
    whole: bool = False


@dataclass
class Reading:
    """What a source needs to know, and what it learns (`started`: the server's clock at the first answer)."""

    client: Client
    place: Place
    reader: Reader
    since: dt.datetime
    cursor: dict[str, Any]
    server_fields: Mapping[str, list[str]]
    query: Mapping[str, Any] = field(default_factory=dict)
    started: dt.datetime | None = None

    def saw(self, now: dt.datetime) -> dict[str, Any]:
        """Note the server's clock; answers what every row of an answer of that moment may ask for."""
        self.started = self.started or now
        return given_for(self.place.project_id, now=now, server_fields=self.server_fields)

    def path(self, template: str, **more: Any) -> str:
        """A path with the project's number (or the group) in it."""
        return template.format(project_id=self.place.project_id, group=self.place.group, **more)


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, at_once: int = IN_FLIGHT
) -> Iterator[tuple[Item, Result]]:
    """`work` of each item in order, a few of them already under way in threads while one is used."""
    waiting: list[tuple[Item, Future[Result]]] = []
    todo = iter(items)
    with ThreadPoolExecutor(max_workers=at_once) as threads:
        try:
            waiting = [(item, threads.submit(work, item)) for item in islice(todo, at_once)]
            while waiting:
                item, result = waiting.pop(0)
                done = result.result()
                waiting += [(following, threads.submit(work, following)) for following in islice(todo, 1)]
                yield item, done
        finally:
            for _, result in waiting:
                result.cancel()

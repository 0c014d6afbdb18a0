"""One reading of one endpoint for one project: what a source is given, and the pages it hands back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from queue import Full, Queue
from threading import Event
from typing import Any, TypeVar

from apps.collector.client import Client
from apps.collector.errors import TooComplex, TooSlow
from apps.collector.shapes import Reader
from apps.collector.tables import Document, given_for
from tem.threads import ThreadPoolExecutor

PER_PAGE = 100
IN_FLIGHT = 2  # requests on their way while a page is being stored; GitLab asks for few GraphQL ones at once

GOOD_IN_A_ROW = 5  # answers in time before a page that was halved grows again

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
    numbers: Mapping[str, int] = field(default_factory=dict)  # of known projects, by path
    paths: Mapping[int, str] = field(
        default_factory=dict
    )  # of a group's projects that are collected, by number

    @cached_property
    def within(self) -> frozenset[int]:
        """The numbers of a group's projects that are collected."""
        return frozenset(self.paths)


@dataclass
class Page:
    """Documents to be stored together. `whole`: they are all there are, rows beyond them are gone."""

    documents: list[Document]
    now: dt.datetime
    cursor: dict[str, Any] = field(default_factory=dict)
    whole: bool = False


@dataclass
class Reading:
    """What a source needs to know, and what it learns (`started`: the server's clock at the first answer).

    `since`: from when to read; `history`: from when all is wanted. `again`: look once more at what is open,
    though nothing says that it changed.
    """

    client: Client
    place: Place
    reader: Reader
    since: dt.datetime
    cursor: dict[str, Any]
    server_fields: Mapping[str, list[str]]
    query: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    history: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    started: dt.datetime | None = None

    def saw(self, now: dt.datetime) -> dict[str, Any]:
        """Note the server's clock; answers what every row of an answer of that moment may ask for."""
        self.started = self.started or now
        place = self.place
        return given_for(
            place.project_id,
            now=now,
            server_fields=self.server_fields,
            numbers=place.numbers,
            within=place.within,
        )

    def path(self, template: str, **more: Any) -> str:
        """A path with the project's number (or the group) in it."""
        return template.format(**{"project_id": self.place.project_id, "group": self.place.group, **more})


class Size:
    """How much is asked for at once: half of it after a time limit, and back again when all goes well.

    Threads may share it: what is lost in a race is one step on the way.
    """

    def __init__(self, most: int) -> None:
        self._most = self.now = most
        self._good = 0

    def shrink(self, *, below: int, error: TooSlow) -> None:
        """`below` was too much: for now, or for good where GitLab weighed it and refused."""
        if isinstance(error, TooComplex):
            self._most = min(self._most, max(1, below * 3 // 4))
            self.now = min(self.now, self._most)
        else:
            self.now = max(1, min(self.now, below // 2))
        self._good = 0

    def passed(self) -> None:
        """It went well; after a few times of that, try twice as much."""
        self._good += 1
        if self._good >= GOOD_IN_A_ROW and self.now < self._most:
            self.now, self._good = min(self._most, self.now * 2), 0


class Started:
    """Pages that a thread reads while others are being stored: two of them wait, no more.

    For sources that ask GitLab only; one that looks into the database keeps to the thread that stores.
    """

    def __init__(self, pages: Iterator[Page], *, threads: ThreadPoolExecutor) -> None:
        self._ready: Queue[Page | BaseException | None] = Queue(maxsize=2)
        self._over = Event()
        threads.submit(self._read, pages)

    def _read(self, pages: Iterator[Page]) -> None:
        end: BaseException | None = None
        try:
            for page in pages:
                if not self._put(page):
                    return
        except BaseException as error:  # whatever it is, it belongs to the one who waits for the pages
            end = error
        self._put(end)

    def _put(self, item: Page | BaseException | None) -> bool:
        while not self._over.is_set():
            try:
                self._ready.put(item, timeout=0.2)
                return True
            except Full:
                continue
        return False

    def pages(self) -> Iterator[Page]:
        """The pages in order; raises what the source raised."""
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def stop(self) -> None:
        """Nobody will take the rest."""
        self._over.set()


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

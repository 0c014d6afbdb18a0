"""Reading details parent by parent over REST: slower than batches, and what every GitLab can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

from apps.collector.due import Due
from apps.collector.errors import GitlabRefused, TooSlow
from apps.collector.reading import PER_PAGE, Page, Reading, ahead

FORBIDDEN = 403
DOUBTFUL_AT_ONCE = 50  # parents that lack a part, before we make sure that it is them
_PIECES = msgspec.json.Decoder(list[msgspec.Raw])
_PIECE = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True)
class One:
    """A part that is one object."""

    path: str


@dataclass(frozen=True)
class Many:
    """A part that is a list, read to its end."""

    path: str
    query: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EachDue:
    """A document for every due parent, put together from several answers; a refused part is null.

    What is refused may be a part, or a deleted parent, or all of the project since a moment ago: then
    the parent stays due. So nothing of it is handed on before the list that it stands in has answered again.
    """

    due: Due
    parts: Mapping[str, One | Many]
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """A page for each parent. Raises GitlabRefused where their list is closed."""
        parents = chain.from_iterable(self.due.slices(reading))
        doubtful: list[Page] = []

        def read(parent: dict[str, Any]) -> dict[str, Any]:
            return _parts(self.parts, parent, reading)

        for parent, found in ahead(read, parents, at_once=4):
            now = reading.client.server_time
            body = msgspec.json.encode(found)
            page = Page([(reading.reader.row(body), {**reading.saw(now), **parent})], now)
            if None not in found.values():
                yield page
                continue
            doubtful.append(page)
            if len(doubtful) == DOUBTFUL_AT_ONCE:
                yield from self._proved(doubtful, reading)
                doubtful = []
        yield from self._proved(doubtful, reading)

    def _proved(self, doubtful: list[Page], reading: Reading) -> Iterator[Page]:
        """The pages again, once their list has answered after them."""
        if doubtful:
            part = next(iter(self.parts.values()))
            path = reading.path(part.path.rpartition("/{")[0])
            reading.client.get(path, query={"per_page": 1}, decode=_PIECES.decode)
        yield from doubtful


def _parts(parts: Mapping[str, One | Many], parent: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """Every part, null where GitLab says that there is none. Raises GitlabRefused where all are forbidden."""
    found: dict[str, Any] = {}
    closed: GitlabRefused | None = None
    for name, part in parts.items():
        try:
            found[name] = _part(part, reading.path(part.path, **parent), reading)
        except GitlabRefused as error:
            found[name] = None
            closed = error if error.status == FORBIDDEN else closed
    if closed and not any(found.values()):
        raise closed
    return found


def _part(part: One | Many, path: str, reading: Reading) -> Any:
    if isinstance(part, One):
        return reading.client.get(path, query={}, decode=_PIECE.decode).value
    rows: list[Any] = []
    number, size = 1, PER_PAGE
    while True:
        try:
            query = {**part.query, "per_page": size, "page": number}
            answer = reading.client.get(path, query=query, decode=_PIECES.decode)
        except TooSlow:
            if size < PER_PAGE:
                raise
            size, number = size // 2, number * 2 - 1
            continue
        rows += answer.value
        full = len(answer.value) >= size if answer.following == {} else bool(answer.following)
        if not answer.value or not full:
            return rows
        number += 1

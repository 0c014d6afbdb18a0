"""Reading details parent by parent over REST: slower than batches, and what every GitLab can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from apps.collector.due import Due
from apps.collector.errors import GitlabRefused, TooSlow
from apps.collector.reading import PER_PAGE, Page, Reading, ahead

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
    """A document for every due parent, put together from several answers; a refused part is null."""

    due: Due
    parts: Mapping[str, One | Many]
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """A page for each parent."""
        parents = self.due.rows(reading.place.project_id).values()

        def read(parent: dict[str, Any]) -> tuple[bytes, Any]:
            return _document(self.parts, parent, reading)

        for parent, (body, answer) in ahead(read, parents, at_once=4):
            document = reading.reader.row(body)
            yield Page([(document, {**reading.saw(answer), **parent})], answer.server_time)


def _document(parts: Mapping[str, One | Many], parent: dict[str, Any], reading: Reading) -> tuple[bytes, Any]:
    """The parts as one piece of JSON, and one of the answers for its clock."""
    found: dict[str, Any] = {}
    seen: Any = None
    refusal: GitlabRefused | None = None
    for name, part in parts.items():
        path = reading.path(part.path, **parent)
        try:
            found[name], seen = _part(part, path, reading)
        except GitlabRefused as error:
            found[name], refusal = None, error
    if seen is None:
        assert refusal is not None  # no part answered, so one refused
        raise refusal
    return msgspec.json.encode(found), seen


def _part(part: One | Many, path: str, reading: Reading) -> tuple[Any, Any]:
    if isinstance(part, One):
        answer = reading.client.get(path, query={}, decode=_PIECE.decode)
        return answer.value, answer
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
            return rows, answer
        number += 1

"""Asking for many single things in one GraphQL query, a field for each: commits, pipelines, projects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from apps.collector.client import Answer
from apps.collector.due import Due, Parent
from apps.collector.errors import GitlabRefused, RouteRefused, TooSlow
from apps.collector.fields import dig
from apps.collector.graphql import judge, tail
from apps.collector.query_text import query_text
from apps.collector.reading import Page, Reading, Size, ahead
from apps.collector.shapes import Reader, envelope
from apps.collector.tables import Document


@dataclass(frozen=True)
class Aliases:
    """A query whose line with `ALIAS` is repeated for each due row, with the row's `value` (and the `PATH` of
    its project, where the query speaks of many) in it.

    `nodes`: where the aliases lie in the answer (nothing: at its top); `inner`: where in each of them the
    document lies. An answer is taken only if its `match` is what was asked for; the rest stays due for the
    next route.
    """

    file: str
    nodes: str
    inner: str
    due: Due
    value: str
    match: str
    size: int
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    @property
    def paths(self) -> list[str]:
        """What the reading itself looks at."""
        return [self.match]

    def pages(self, reading: Reading) -> Iterator[Page]:
        """Documents of due rows, a page for each query."""
        return _Asking(self, reading).pages() if reading.place.path else iter(())


@lru_cache(maxsize=16)
def _decoder(reader: Reader, nodes: str, inner: str) -> msgspec.json.Decoder[Any]:
    each: Any = envelope(reader.shape, inner)
    return msgspec.json.Decoder(envelope(dict[str, each | None], ".".join(_way(nodes))))


def _way(nodes: str) -> tuple[str, ...]:
    return ("data", *nodes.split(".")) if nodes else ("data",)


class _Asking:
    """One reading of an Aliases source."""

    def __init__(self, source: Aliases, reading: Reading) -> None:
        self._source, self._reading = source, reading
        self._size = Size(source.size)
        self._decoder = _decoder(reading.reader, source.nodes, source.inner)

    def pages(self) -> Iterator[Page]:
        for parents, answers in ahead(self._batch, self._chunks()):
            known = {str(parent[self._source.due.key]): parent for parent in parents}
            for answer in answers:
                yield self._page(answer, known)

    def _chunks(self) -> Iterator[list[Parent]]:
        for parents in self._source.due.slices(self._reading):
            plain = [one for one in parents if str(one[self._source.value]).isalnum()]
            start = 0
            while start < len(plain):
                chunk = plain[start : start + self._size.now]
                start += len(chunk)
                yield chunk

    def _batch(self, parents: list[Parent]) -> list[Answer]:
        text = self._text(parents)
        variables = {"path": self._reading.place.path}
        try:
            answers = [self._reading.client.graphql(text, variables=variables, decode=self._decode)]
        except TooSlow as error:
            if len(parents) == 1:
                raise RouteRefused(str(error), lasting=False) from error
            self._size.shrink(below=len(parents), error=error)
            middle = len(parents) // 2
            return self._batch(parents[:middle]) + self._batch(parents[middle:])
        except RouteRefused:
            raise
        except GitlabRefused as error:
            raise RouteRefused(str(error), status=error.status) from error
        self._size.passed()
        return answers

    def _text(self, parents: list[Parent]) -> str:
        lines = query_text(self._source.file, self._reading.server_fields).splitlines()
        asked: list[str] = []
        for line in lines:
            asked += (
                [self._asking(line, n, one) for n, one in enumerate(parents)] if "ALIAS" in line else [line]
            )
        return "\n".join(asked)

    def _asking(self, line: str, nth: int, parent: Parent) -> str:
        place = self._reading.place
        path = place.paths.get(parent.get("project_id", place.project_id), place.path)
        asked = line.replace("ALIAS", f"a{nth}").replace("PATH", path)
        return asked.replace("VALUE", str(parent[self._source.value]))

    def _decode(self, body: bytes) -> list[Any]:
        judge(body)
        try:
            found = dig(self._decoder.decode(body), _way(self._source.nodes))
        except msgspec.ValidationError:
            return []
        if found is None:
            raise RouteRefused("GitLab's GraphQL does not show this project.", lasting=False)
        inner = tuple(self._source.inner.split(".")) if self._source.inner else ()
        return [document for one in found.values() if (document := dig(one, inner)) is not None]

    def _page(self, answer: Answer, known: dict[str, Parent]) -> Page:
        given = self._reading.saw(answer.server_time)
        documents: list[Document] = []
        for document in answer.value:
            key = getattr(document, self._source.match)
            number = tail(key)
            parent = known.get(str(key)) or (known.get(str(number)) if number is not None else None)
            if parent is not None:
                documents.append((document, {**given, **parent}))
        return Page(documents, answer.server_time)

"""Reading details in batches over GraphQL. A query is a file; what this server lacks is cut out of it.

Nothing here trusts a status of 200: an answer with errors, or without its project, is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from apps.collector.client import Answer
from apps.collector.due import Due
from apps.collector.errors import GitlabRefused, RouteRefused, TooSlow
from apps.collector.fields import dig
from apps.collector.query_text import query_text
from apps.collector.reading import Page, Reading, ahead
from apps.collector.shapes import Reader, Unread, envelope
from apps.collector.tables import Document

_TOO_MUCH = re.compile(
    r"complexity|time(?:d )?out|too (?:large|slow|many)|internal server error|try again", re.IGNORECASE
)


@dataclass(frozen=True)
class Follow:
    """A nested list that may be cut off (at 100 rows, in silence), and the query for the rest of it."""

    file: str
    connection: str  # in the document, such as "notes"
    nodes: str  # where the follow-up answer holds the document


class _Error(msgspec.Struct):
    message: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] | None = None


class Answers:
    """Decodes GraphQL answers whose documents lie at `nodes`, a connection or a single object."""

    def __init__(self, reader: Reader, nodes: str) -> None:
        self._reader = reader
        info = msgspec.defstruct("PageInfo", [("hasNextPage", bool, False), ("endCursor", str | None, None)])
        place = msgspec.defstruct(
            "Place", [("nodes", msgspec.Raw, msgspec.Raw(b"")), ("pageInfo", info | None, None)]
        )
        path = f"data.{nodes}"
        self._path = tuple(path.split("."))
        self._connection = msgspec.json.Decoder(envelope(place, path))
        self._single = msgspec.json.Decoder(envelope(reader.shape, path))
        self._errors = msgspec.json.Decoder(_Errors)

    def connection(self, body: bytes) -> tuple[list[Any], str | None]:
        """(documents, cursor of the next page or None).

        Raises TooSlow or RouteRefused for errors in the answer.
        """
        self._judge(body)
        found = dig(self._connection.decode(body), self._path)
        if found is None:
            raise RouteRefused("GitLab's GraphQL does not show this project.", lasting=False)
        more = found.pageInfo is not None and found.pageInfo.hasNextPage
        return self._reader.rows(bytes(found.nodes) or b"[]"), found.pageInfo.endCursor if more else None

    def single(self, body: bytes) -> Any:
        """The one document; None where there is none, or none of this shape."""
        self._judge(body)
        try:
            return dig(self._single.decode(body), self._path)
        except msgspec.ValidationError:
            return None

    def _judge(self, body: bytes) -> None:
        errors = self._errors.decode(body).errors
        if not errors:
            return
        message = errors[0].message[:200]
        if any(_TOO_MUCH.search(error.message) for error in errors):
            raise TooSlow(f"GraphQL: {message}")
        raise RouteRefused(f"GraphQL: {message}")


@lru_cache(maxsize=32)
def answers_of(reader: Reader, nodes: str) -> Answers:
    """Made once: making a type costs more than decoding a page with it."""
    return Answers(reader, nodes)


@dataclass(frozen=True)
class Graphql:
    """A query for what is due. With `batch`, parents are asked for by that variable, `size` at a time;
    without,

    the list at `nodes` is paged (once for each of `variants`) for as long as something is due.
    """

    file: str
    nodes: str
    due: Due
    match: str  # the attribute of a document that holds the parent's id
    size: int
    batch: str = ""
    batch_of: str = "iid"
    variants: tuple[Mapping[str, Any], ...] = ({},)
    follow: tuple[Follow, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    @property
    def paths(self) -> list[str]:
        """What the reading itself looks at."""
        nested = [
            f"{one.connection}.pageInfo.{name}"
            for one in self.follow
            for name in ("hasNextPage", "endCursor")
        ]
        return [self.match, "iid", *nested]

    def pages(self, reading: Reading) -> Iterator[Page]:
        """Documents of due parents, complete with their nested lists."""
        if not reading.place.path:
            return iter(())
        asking = _Asking(self, reading)
        return asking.batches() if self.batch else asking.lists()


class _Asking:
    """One reading of a Graphql source."""

    def __init__(self, source: Graphql, reading: Reading) -> None:
        self._source, self._reading, self._size = source, reading, source.size
        self._answers = answers_of(reading.reader, source.nodes)
        self._due = source.due.rows(reading.place.project_id)

    def batches(self) -> Iterator[Page]:
        parents, size = list(self._due.values()), self._source.size
        chunks = [parents[start : start + size] for start in range(0, len(parents), size)]
        for _, answers in ahead(self._batch, chunks):
            for answer in answers:
                yield self._page(answer, answer.value[0])

    def _batch(self, parents: list[dict[str, Any]]) -> list[Answer]:
        """The answers for these parents; in halves where the server cannot make it at once."""
        wanted = [str(parent[self._source.batch_of]) for parent in parents]
        try:
            return [self._whole(self._ask(self._source.file, {self._source.batch: wanted, "n": len(wanted)}))]
        except TooSlow as error:
            if len(parents) == 1:
                raise RouteRefused(str(error), lasting=False) from error
            middle = len(parents) // 2
            return self._batch(parents[:middle]) + self._batch(parents[middle:])

    def lists(self) -> Iterator[Page]:
        first = self._reading.cursor
        for number, variant in enumerate(self._source.variants):
            if number >= first.get("variant", 0) and self._due:
                after = first.get("after") if number == first.get("variant", 0) else None
                yield from self._list(number, variant, after)

    def _list(self, number: int, variant: Mapping[str, Any], after: str | None) -> Iterator[Page]:
        since = min(parent["seen_at"] for parent in self._due.values())
        while self._due:
            variables = {**variant, "after": after, "since": since.isoformat().replace("+00:00", "Z")}
            answer = self._list_page(variables)
            documents, after = answer.value
            page = self._page(answer, documents)
            page.cursor = {"variant": number, "after": after} if after else {}
            yield page
            if not after:
                return

    def _list_page(self, variables: dict[str, Any]) -> Answer:
        while True:
            try:
                return self._whole(self._ask(self._source.file, {**variables, "n": self._size}))
            except TooSlow as error:
                if self._size == 1:
                    raise RouteRefused(str(error), lasting=False) from error
                self._size //= 2

    def _ask(self, file: str, variables: dict[str, Any], answers: Answers | None = None) -> Answer:
        text = query_text(file, self._reading.server_fields)
        decode = answers.single if answers else self._answers.connection
        try:
            variables = {"path": self._reading.place.path, **variables}
            return self._reading.client.graphql(text, variables=variables, decode=decode)
        except RouteRefused:
            raise
        except GitlabRefused as error:
            raise RouteRefused(str(error), status=error.status) from error

    def _whole(self, answer: Answer) -> Answer:
        """Every nested list that was cut off is read to its end."""
        for document in answer.value[0]:
            if not isinstance(document, Unread):
                for follow in self._source.follow:
                    self._complete(document, follow)
        return answer

    def _complete(self, document: Any, follow: Follow) -> None:
        connection = getattr(document, follow.connection)
        info = connection and connection.pageInfo
        while info and info.hasNextPage and info.endCursor:
            variables = {"iid": str(document.iid), "after": info.endCursor}
            found = self._ask(follow.file, variables, answers_of(self._reading.reader, follow.nodes)).value
            more = None if found is None else getattr(found, follow.connection)
            if more is None or more.pageInfo is None or not more.nodes:
                raise RouteRefused(f"GraphQL does not give the rest of {follow.connection}.", lasting=False)
            connection.nodes += more.nodes
            info = more.pageInfo

    def _page(self, answer: Answer, found: list[Any]) -> Page:
        given = self._reading.saw(answer.server_time)
        documents: list[Document] = []
        for document in found:
            if isinstance(document, Unread):
                documents.append((document, given))
                continue
            number = _tail(getattr(document, self._source.match))
            parent = self._due.pop(number, None) if number is not None else None
            if parent is not None:
                documents.append((document, {**given, **parent}))
        return Page(documents, answer.server_time)


def _tail(value: Any) -> int | None:
    text = str(value).rpartition("/")[2]
    return int(text) if text.isascii() and text.isdigit() else None

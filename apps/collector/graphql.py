"""Reading details in batches over GraphQL. A query is a file; what this server lacks is cut out of it.

Nothing here trusts a status of 200: an answer with errors, or without its project, is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec

from apps.collector.client import Answer
from apps.collector.due import Due, Parent
from apps.collector.errors import GitlabRefused, RouteRefused, TooComplex, TooSlow
from apps.collector.fields import dig
from apps.collector.query_text import query_text
from apps.collector.reading import Page, Reading, Size, ahead
from apps.collector.shapes import Reader, Unread, envelope
from apps.collector.tables import Document
from tem.threads import ThreadPoolExecutor

_TOO_MUCH = re.compile(
    r"time(?:d )?out|too (?:large|slow|many)|internal server error|try again", re.IGNORECASE
)


@dataclass(frozen=True)
class Follow:
    """A nested list that may be cut off (at 100 rows, in silence), and the query for the rest of it.

    Without a query the document is left out: another route will bring it whole.
    """

    connection: str  # in the document, such as "notes"
    file: str = ""
    nodes: str = ""  # where the follow-up answer holds the document


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

    def connection(self, body: bytes) -> tuple[list[Any], str | None]:
        """(documents, cursor of the next page or None).

        Raises TooSlow or RouteRefused for errors in the answer.
        """
        judge(body)
        found = dig(self._connection.decode(body), self._path)
        if found is None:
            raise RouteRefused("GitLab's GraphQL does not show it.", lasting=False)
        more = found.pageInfo is not None and found.pageInfo.hasNextPage
        return self._reader.rows(bytes(found.nodes) or b"[]"), found.pageInfo.endCursor if more else None

    def single(self, body: bytes) -> Any:
        """The one document; None where there is none, or none of this shape."""
        judge(body)
        try:
            return dig(self._single.decode(body), self._path)
        except msgspec.ValidationError:
            return None


_ERRORS = msgspec.json.Decoder(_Errors)


_GAP = re.compile(rb"[\[,]\s*null\b")
MOST_ASKS = 6


def steadily(ask: Callable[[Callable[[bytes], Any]], Answer], decode: Callable[[bytes], Any]) -> Answer:
    """An answer without nulls in its lists, or one that has as many when it is asked for again.

    A null stands for a row that we may not see, or that GitLab just now could not make: only the first stays.
    """
    fewest: tuple[int, Answer] | None = None
    before = -1
    for _ in range(MOST_ASKS):
        answer = ask(lambda body: (len(_GAP.findall(body)), decode(body)))
        gaps, value = answer.value
        if fewest is None or gaps < fewest[0]:
            fewest = gaps, replace(answer, value=value)
        if gaps in (0, before):
            break
        before = gaps
    assert fewest is not None
    return fewest[1]


def judge(body: bytes) -> None:
    """Raises TooSlow or RouteRefused for errors in an answer that came with status 200."""
    errors = _ERRORS.decode(body).errors
    if not errors:
        return
    message = errors[0].message[:200]
    if any("complexity" in error.message.lower() for error in errors):
        raise TooComplex(f"GraphQL: {message}")
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
        self._source, self._reading = source, reading
        self._size, self._left, self._since = Size(source.size), 0, ""
        self._answers = answers_of(reading.reader, source.nodes)

    def batches(self) -> Iterator[Page]:
        for parents, answers in ahead(self._batch, self._chunks()):
            known = {parent[self._source.due.key]: parent for parent in parents}
            for answer in answers:
                yield self._page(answer, answer.value[0], known)

    def _chunks(self) -> Iterator[list[Parent]]:
        for parents in self._source.due.slices(self._reading):
            start = 0
            while start < len(parents):
                chunk = parents[start : start + self._size.now]
                start += len(chunk)
                yield chunk

    def _batch(self, parents: list[Parent]) -> list[Answer]:
        """The answers for these parents; in halves where the server cannot make it at once."""
        wanted = [str(parent[self._source.batch_of]) for parent in parents]
        try:
            asked = self._ask(self._source.file, {self._source.batch: wanted, "n": len(wanted)})
            answers = [self._whole(asked)]
        except TooSlow as error:
            if len(parents) == 1:
                raise RouteRefused(str(error), lasting=False) from error
            self._size.shrink(below=len(parents), error=error)
            middle = len(parents) // 2
            return self._batch(parents[:middle]) + self._batch(parents[middle:])
        self._size.passed()
        return answers

    def lists(self) -> Iterator[Page]:
        first, due = self._reading.cursor, self._source.due
        self._left, oldest = due.count(self._reading), due.oldest(self._reading)
        self._since = oldest.isoformat().replace("+00:00", "Z")
        for number, variant in enumerate(self._source.variants):
            if self._left > 0 and number >= first.get("variant", 0):
                after = first.get("after") if number == first.get("variant", 0) else None
                yield from self._list(number, variant, after)

    def _list(self, number: int, variant: Mapping[str, Any], after: str | None) -> Iterator[Page]:
        """Pages for as long as something is due; the next is under way while one is being stored."""
        asked = {"since": self._since, **variant}
        with ThreadPoolExecutor(max_workers=1) as thread:
            waiting = thread.submit(self._list_page, {**asked, "after": after})
            while True:
                answer = waiting.result()
                documents, after = answer.value
                page = self._page(answer, documents, self._due_among(documents))
                self._left -= len(page.documents)  # counted here: what was read may not be stored yet
                more = after if self._left > 0 else None
                page.cursor = {"variant": number, "after": more} if more else {}
                if more:
                    waiting = thread.submit(self._list_page, {**asked, "after": more})
                yield page
                if not more:
                    return

    def _due_among(self, documents: list[Any]) -> dict[Any, Parent]:
        read = [document for document in documents if not isinstance(document, Unread)]
        numbers = [tail(getattr(document, self._source.match)) for document in read]
        return self._source.due.among(self._reading, [number for number in numbers if number is not None])

    def _list_page(self, variables: dict[str, Any]) -> Answer:
        while True:
            size = self._size.now
            try:
                answer = self._whole(self._ask(self._source.file, {**variables, "n": size}))
            except TooSlow as error:
                if size == 1:
                    raise RouteRefused(str(error), lasting=False) from error
                self._size.shrink(below=size, error=error)
            else:
                self._size.passed()
                return answer

    def _ask(self, file: str, variables: dict[str, Any], answers: Answers | None = None) -> Answer:
        text = query_text(file, self._reading.server_fields)
        decode = answers.single if answers else self._answers.connection
        try:
            variables = {"path": self._reading.place.path, **variables}
            client = self._reading.client
            return steadily(lambda read: client.graphql(text, variables=variables, decode=read), decode)
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

    def _is_cut_off(self, document: Any) -> bool:
        for follow in self._source.follow:
            connection = None if follow.file else getattr(document, follow.connection)
            if connection and connection.pageInfo and connection.pageInfo.hasNextPage:
                return True
        return False

    def _complete(self, document: Any, follow: Follow) -> None:
        connection = getattr(document, follow.connection)
        info = connection and connection.pageInfo
        while follow.file and info and info.hasNextPage and info.endCursor:
            variables = {"iid": str(document.iid), "after": info.endCursor}
            found = self._ask(follow.file, variables, answers_of(self._reading.reader, follow.nodes)).value
            more = None if found is None else getattr(found, follow.connection)
            if more is None or more.pageInfo is None or not more.nodes:
                raise RouteRefused(f"GraphQL does not give the rest of {follow.connection}.", lasting=False)
            connection.nodes += more.nodes
            info = more.pageInfo

    def _page(self, answer: Answer, found: list[Any], known: Mapping[Any, Parent]) -> Page:
        given = self._reading.saw(answer.server_time)
        documents: list[Document] = []
        for document in found:
            if isinstance(document, Unread):
                documents.append((document, given))
                continue
            parent = known.get(tail(getattr(document, self._source.match)))
            if parent is not None and not self._is_cut_off(document):
                documents.append((document, {**given, **parent}))
        return Page(documents, answer.server_time)


def tail(value: Any) -> int | None:
    """The number at the end of a GraphQL id, None where there is none."""
    text = str(value).rpartition("/")[2]
    return int(text) if text.isascii() and text.isdigit() else None

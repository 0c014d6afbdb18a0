"""One list of many projects in one query, such as the pipelines of each that changed since a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from apps.collector.client import Answer
from apps.collector.errors import GitlabRefused, RouteRefused, TooSlow
from apps.collector.graphql import judge, steadily, tail
from apps.collector.query_text import query_text
from apps.collector.reading import Page, Reading, Size, ahead
from apps.collector.rest import iso
from apps.collector.shapes import Unread

ROWS = 30  # of a project; who has more is read by itself


class _More(msgspec.Struct):
    hasNextPage: bool = False  # noqa: N815  # GitLab's name


class _List(msgspec.Struct):
    nodes: msgspec.Raw = msgspec.Raw(b"[]")
    pageInfo: _More | None = None  # noqa: N815  # GitLab's name


class _Node(msgspec.Struct):
    id: str
    pipelines: _List | None = None


class _Projects(msgspec.Struct):
    nodes: list[_Node | None] = []


class _Data(msgspec.Struct):
    projects: _Projects | None = None


class _Answer(msgspec.Struct):
    data: _Data | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def _decode(body: bytes) -> list[_Node]:
    """The projects of an answer. Raises TooSlow or RouteRefused for errors in it."""
    judge(body)
    data = _DECODER.decode(body).data
    return [node for node in (data.projects.nodes if data and data.projects else []) if node is not None]


@dataclass
class OfProjects(Page):
    """Rows of several projects. `read`: those of which these are all the rows that were asked for."""

    read: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Across:
    """A query for `size` projects at a time. `gives`: what rows learn of a document beside its project.

    `cut`: whether something inside a document is not all there. It is left out, as is what cannot be read,
    and its project counts as not read.
    """

    file: str
    size: int
    gives: Callable[[Any], dict[str, Any]]
    cut: Callable[[Any], bool]
    paths: tuple[str, ...]
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading, projects: Sequence[int]) -> Iterator[OfProjects]:
        """The rows of these projects that changed since `reading.since`, `reading.query` as variables.

        Raises RouteRefused where the server will not have it.
        """
        asking = _Asking(self, reading)
        for _, pages in ahead(asking.batch, asking.chunks(projects)):
            yield from pages


class _Asking:
    """One reading of an Across source."""

    def __init__(self, source: Across, reading: Reading) -> None:
        self._source, self._reading, self._size = source, reading, Size(source.size)
        self._text = query_text(source.file, reading.server_fields)

    def chunks(self, projects: Sequence[int]) -> Iterator[Sequence[int]]:
        start = 0
        while start < len(projects):
            chunk = projects[start : start + self._size.now]
            start += len(chunk)
            yield chunk

    def batch(self, projects: Sequence[int]) -> list[OfProjects]:
        """The pages for these projects; in halves where the server cannot make it at once."""
        told = {
            "ids": [f"gid://gitlab/Project/{number}" for number in projects],
            "n": len(projects), "rows": ROWS, "since": iso(self._reading.since), **self._reading.query,
        }  # fmt: skip
        client = self._reading.client
        try:
            answer = steadily(lambda read: client.graphql(self._text, variables=told, decode=read), _decode)
        except TooSlow as error:
            if len(projects) == 1:
                raise RouteRefused(str(error), lasting=False) from error
            self._size.shrink(below=len(projects), error=error)
            middle = len(projects) // 2
            return self.batch(projects[:middle]) + self.batch(projects[middle:])
        except RouteRefused:
            raise
        except GitlabRefused as error:
            raise RouteRefused(str(error), status=error.status) from error
        self._size.passed()
        return [self._page(answer, set(projects))]

    def _page(self, answer: Answer, asked: set[int]) -> OfProjects:
        page = OfProjects([], answer.server_time)
        given = self._reading.saw(answer.server_time)
        for node in answer.value:
            number = tail(node.id)
            if number not in asked or node.pipelines is None:
                continue
            rows = self._reading.reader.rows(bytes(node.pipelines.nodes))
            whole = [row for row in rows if not isinstance(row, Unread) and not self._source.cut(row)]
            page.documents += [
                (row, {**given, "project_id": number, **self._source.gives(row)}) for row in whole
            ]
            is_end = node.pipelines.pageInfo is not None and not node.pipelines.pageInfo.hasNextPage
            if is_end and len(whole) == len(rows):  # else its own reading brings the rest
                page.read.add(number)
        return page

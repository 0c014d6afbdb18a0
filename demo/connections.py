"""GraphQL connections: at most 100 rows, cursors that stay put when rows are added."""

from __future__ import annotations

import base64
import json
from bisect import bisect_left
from collections.abc import Callable
from itertools import islice
from operator import attrgetter
from typing import Any

from graphql import GraphQLError

MOST = 100


class Connection:
    """A page of rows; also answers as its own page info."""

    __slots__ = ("_count", "_key", "before", "more", "nodes")

    def __init__(
        self, nodes: list[Any], *, more: bool, before: bool, count: int | Callable[[], int], key: Any
    ) -> None:
        self.nodes, self.more, self.before, self._count, self._key = nodes, more, before, count, key

    @property
    def count(self) -> int:
        """Of all pages; counted when asked for."""
        return self._count() if callable(self._count) else self._count

    @property
    def first(self) -> str | None:
        return _write(self._key(0, self.nodes[0])) if self.nodes else None

    @property
    def last(self) -> str | None:
        return _write(self._key(len(self.nodes) - 1, self.nodes[-1])) if self.nodes else None


def _write(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def read(cursor: str) -> Any:
    """What a cursor says. Raises GraphQLError."""
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise GraphQLError("Invalid cursor provided") from error


def _size(args: dict[str, Any]) -> int:
    asked = args.get("first") if args.get("first") is not None else args.get("last")
    if asked is not None and asked < 0:
        raise GraphQLError("Argument cannot be negative")
    return MOST if asked is None else min(asked, MOST)


def connect(rows: list[Any], args: dict[str, Any], *, context: Any) -> Connection:
    """A list in a fixed order that only grows at its end: cursors are places."""
    start, end = 0, len(rows)
    if args.get("after"):
        start = int(read(args["after"])) + 1
    if args.get("before"):
        end = min(end, int(read(args["before"])))
    size = _size(args)
    if args.get("last") is not None and args.get("first") is None:
        start = max(start, end - size)
    stop = min(end, start + size)
    found = context.page(rows[start:stop])
    return Connection(
        found,
        more=stop < end,
        before=start > 0,
        count=len(rows),
        key=lambda place, row, start=start: start + place,
    )


def connect_youngest(
    rows: list[Any], args: dict[str, Any], *, passes: Callable[[Any], bool], context: Any
) -> Connection:
    """By id, youngest first, out of a long list that stands oldest first: looks no further than it must."""
    stop = len(rows)
    if args.get("after"):
        stop = bisect_left(rows, int(read(args["after"])), key=attrgetter("id"))
    size = _size(args)
    found = list(islice((rows[place] for place in range(stop - 1, -1, -1) if passes(rows[place])), size + 1))
    return Connection(
        context.page(found[:size]), more=len(found) > size, before=bool(args.get("after")),
        count=lambda: sum(map(passes, rows)), key=lambda place, row: row.id,
    )  # fmt: skip


def connect_sorted(
    rows: list[Any], args: dict[str, Any], *, name: str, down: bool, context: Any
) -> Connection:
    """Ordered by an attribute and id; cursors hold both, so rows that come or move do not shift the pages."""

    def key(row: Any) -> list[Any]:
        return [getattr(row, name), row.id]

    rows = sorted((row for row in rows if getattr(row, name) is not None), key=key, reverse=down)
    count = len(rows)
    if args.get("after"):
        after = read(args["after"])
        rows = [row for row in rows if (key(row) < after if down else key(row) > after)]
    size = _size(args)
    return Connection(
        context.page(rows[:size]), more=len(rows) > size, before=bool(args.get("after")), count=count,
        key=lambda place, row: key(row),
    )  # fmt: skip

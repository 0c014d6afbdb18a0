"""Pages into tables: several small ones to a transaction, and nothing that was read is dropped on trouble."""

from __future__ import annotations

import time
from collections.abc import Iterator

from apps.collector import replay
from apps.collector.harvest import parent_of, rows_of
from apps.collector.reading import Page
from apps.collector.route import Route
from apps.collector.shapes import Reader
from apps.collector.upsert import quarantine, upsert
from tem import telemetry
from tem.errors import TemError

GROUP, GROUP_S = 250, 3.0  # documents to a transaction, and how long they may take to arrive
_READERS: dict[int, Reader] = {}


def reader_of(route: Route) -> Reader:
    """The decoder of a route's documents, built once in a process."""
    if id(route) not in _READERS:
        paths = [path for table in route.tables for path in table.paths]
        _READERS[id(route)] = Reader(route.name, [*paths, *route.source.paths])
    return _READERS[id(route)]


def store(
    route: Route,
    page: Page,
    *,
    project_id: int | None,
    endpoint: str = "",
    snapshot: bool = False,
    known: set[tuple[str, ...]] | None = None,
) -> int:
    """Write a page's rows; answers how many are new or changed. Inside a transaction.

    Where a row could not be read nothing is removed: it may be one of those that look absent. `known`: rows
    of recurring tables that were written before; those of this page are added.
    """
    with telemetry.span("store page", endpoint=endpoint or route.name, documents=len(page.documents)) as one:
        written = _stored(route, page, project_id, endpoint, snapshot=snapshot, known=known)
        telemetry.note(one, rows=written)
    return written


def _stored(
    route: Route,
    page: Page,
    project_id: int | None,
    endpoint: str,
    *,
    snapshot: bool,
    known: set[tuple[str, ...]] | None,
) -> int:
    written, refused_parents = 0, set[int | None]()
    is_settling = replay.is_needed(project_id)
    for table in route.tables:
        harvest = rows_of(table, page.documents)
        rows, whole = list(harvest.rows.values()), harvest.replaced
        if snapshot and page.whole and not table.is_nested and not harvest.refused:
            whole = [project_id]
        if table.recurs and known is not None:
            rows = [row for row in rows if row not in known]
            known.update(rows)
        written += upsert(table, rows, now=page.now, whole=whole)
        if harvest.refused:
            quarantine(harvest.refused, project_id=project_id, endpoint=endpoint, now=page.now)
            refused_parents.update(row.parent_id for row in harvest.refused)
        if is_settling and rows:
            ids = [name[-1] for name in harvest.rows]
            replay.settle(table.name, ids, project_id, endpoint=endpoint)
    if is_settling:
        parents = {parent_of(given) for _, given in page.documents} - refused_parents - {None}
        replay.settle_details(endpoint, [parent for parent in parents if parent is not None])
    return written


def in_groups(pages: Iterator[Page]) -> Iterator[Page]:
    """Small pages put together, so that a transaction is worth its while; what was read is never dropped."""
    group: list[Page] = []
    began = time.monotonic()
    try:
        for page in pages:
            group.append(page)
            size, waited_s = sum(len(one.documents) for one in group), time.monotonic() - began
            if size >= GROUP or waited_s >= GROUP_S:
                yield _together(group)
                group, began = [], time.monotonic()
    except TemError:
        if group:
            yield _together(group)
        raise
    if group:
        yield _together(group)


def _together(group: list[Page]) -> Page:
    documents = [document for page in group for document in page.documents]
    last = group[-1]
    return Page(documents=documents, now=last.now, cursor=last.cursor, whole=last.whole and len(group) == 1)


def with_last(pages: Iterator[Page]) -> Iterator[tuple[Page, bool]]:
    """Each page with whether it is the last; what was read is stored even if the next cannot be."""
    before, trouble = next(pages, None), None
    while before is not None:
        following = None
        try:
            following = next(pages, None)
        except TemError as error:
            trouble = error
        yield before, following is None and trouble is None
        if trouble is not None:
            raise trouble
        before = following

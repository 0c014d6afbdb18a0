"""What a page's documents hold for one table: rows as text, and refusals, losing nothing in silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from apps.collector.columns import WORTH_IT, Column, Given, rows_at_once
from apps.collector.normalise import Unfit, instant
from apps.collector.shapes import Unread
from apps.collector.tables import Document, Table


@dataclass(slots=True)
class Refused:
    """A row for the quarantine."""

    entity: str
    entity_id: str
    reason: str
    payload: bytes
    parent_id: int | None = None
    project_id: int | None = None  # where the row itself tells it: a group's list speaks of many


@dataclass(slots=True)
class Harvest:
    """Rows as text by key (a later copy wins unless an earlier one is younger), and what was refused."""

    rows: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    replaced: list[Any] = field(default_factory=list)  # values of `replaces` that were read completely


def rows_of(table: Table, documents: Iterable[Document]) -> Harvest:
    """Every item of `table` in the documents, as a row or as a refusal."""
    harvest, read = Harvest(), list(documents)
    if any(isinstance(document, Unread) for document, _ in read):
        if not table.is_nested:  # once for the document, not once for every table that would have read it
            harvest.refused = [_unread(table, *one) for one in read if isinstance(one[0], Unread)]
        read = [one for one in read if not isinstance(one[0], Unread)]
    if table.is_nested or table.replaces:
        _add_all(harvest, table, _nested(harvest, table, read))
    else:
        items = [document for document, _ in read]
        _add_all(harvest, table, Found(items, items, [given for _, given in read]))
    return harvest


def _unread(table: Table, document: Unread, given: Given) -> Refused:
    payload = document.payload
    return Refused(
        table.name, document.entity_id, document.reason, payload, parent_of(given), project_in(payload)
    )


class _OfProject(msgspec.Struct):
    project_id: int | None = None


def project_in(payload: bytes) -> int | None:
    """The project that a refused row names, None where it cannot be read."""
    try:
        found = msgspec.json.decode(payload, type=_OfProject).project_id
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if found is not None and 0 < found < 2**63 else None


def _nested(harvest: Harvest, table: Table, read: list[Document]) -> Found:
    """The items of all documents, but for those whose completeness is to be told: they are done at once."""
    found = Found([], [], [])
    for document, given in read:
        items = table.finds.items(document, given) if table.finds else table.items(document)
        if items is not None and table.replaces in given:
            _of_one_document(harvest, table, items, document, given)
        elif items:
            found.items.extend(items)
            found.documents.extend([document] * len(items))
            found.givens.extend([given] * len(items))
    return found


class Found(NamedTuple):
    """Items, and beside each of them its document and what was given."""

    items: list[Any]
    documents: list[Any]
    givens: list[Given]

    def only(self, places: Iterable[int]) -> Found:
        return Found(*([values[place] for place in places] for values in self))


def _of_one_document(harvest: Harvest, table: Table, items: list[Any], document: Any, given: Given) -> None:
    """Items that are all there are of a `replaces` value, unless one of them cannot be read."""
    refusals, size = len(harvest.refused), len(items)
    _add_all(harvest, table, Found(items, [document] * size, [given] * size))
    if len(harvest.refused) == refusals:
        harvest.replaced.append(given[table.replaces])


def _add_all(harvest: Harvest, table: Table, found: Found) -> None:
    if table.recurs:
        found = _without_copies(table, found)
    if table.skips is not None:
        skipped = map(table.skips.read, *found)
        found = found.only([place for place, skip in enumerate(skipped) if not skip])
    rows = rows_at_once(table.columns, *found) if len(found.items) >= WORTH_IT else None
    if rows is None:
        for item, document, given in zip(*found, strict=True):
            _add(harvest, table, item, document, given)
        return
    named = dict(zip(map(table.key_of, rows), rows, strict=True))
    if not harvest.rows and len(named) == len(rows):
        harvest.rows = named
        return
    for row in rows:
        _keep(harvest, table, row)


def _without_copies(table: Table, found: Found) -> Found:
    """One of all items that are the same in what is read of them, at the place of the last."""
    if not all(column.attribute for column in table.columns):
        return found
    content = attrgetter(*(column.attribute for column in table.columns))
    last: dict[Any, int] = {}
    try:
        for place, item in enumerate(map(content, found.items)):
            last[item] = place
    except TypeError:  # a list or an object where a word should be: for the quarantine
        return found
    return found.only(sorted(last.values()))


def _add(harvest: Harvest, table: Table, item: Any, document: Any, given: Given) -> None:
    try:
        row = _row(table.columns, item, document, given)
    except Unfit as error:
        payload = msgspec.json.encode(item)
        refused = Refused(table.name, _name_of(item), str(error), payload, parent_of(given))
        refused.project_id = project_in(payload) or given.get("project_id")
        harvest.refused.append(refused)
        return
    _keep(harvest, table, row)


def _keep(harvest: Harvest, table: Table, row: tuple[str, ...]) -> None:
    name = table.key_of(row)
    before = harvest.rows.get(name)
    if before is None or not _is_younger(before, row, table.newest_place):
        harvest.rows[name] = row


def _row(columns: tuple[Column, ...], item: Any, document: Any, given: Given) -> tuple[str, ...]:
    """The cells of one row as text.

    This is the inner loop of all collecting: it makes no call it can do without.
    """
    row: list[str] = []
    latest = given["latest"]
    name = ""
    try:
        for name, attribute, read, cell, absent, *_ in columns:  # noqa: B007  # name: for the refusal below
            value = getattr(item, attribute) if attribute else read(item, document, given)
            if value is not None:
                row.append(cell(value, latest))
            elif absent is not None:
                row.append(absent)
            else:
                raise Unfit("is missing")
    except Unfit as error:
        raise Unfit(f"{name} {error}") from None
    return tuple(row)


def _is_younger(one: tuple[str, ...], other: tuple[str, ...], place: int | None) -> bool:
    return place is not None and instant(one[place]) > instant(other[place])


def parent_of(given: Given) -> int | None:
    """The merge request or pipeline that the document belongs to, if it was read for one."""
    return given.get("mr_id") or given.get("pipeline_id")


def _name_of(item: Any) -> str:
    found = (getattr(item, name, None) for name in ("id", "iid", "tag_name", "name", "sha"))
    return next((str(value)[:200] for value in found if value is not None), "")

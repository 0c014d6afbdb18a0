"""Table: how documents of one shape become rows of one model; rows_of: doing it, row by row, losing none in
silence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
from django.db import models

from apps.collector.columns import WORTH_IT, Column, Given, rows_at_once, values_of
from apps.collector.fields import Field, dig
from apps.collector.normalise import DAY, NULL, Unfit, cell_for, empty_for, instant, usual_cells_for
from apps.collector.shapes import Unread

Document = tuple[Any, Given]  # what GitLab sent, and what the scan knew when it asked


def column_of(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """The model's field of this name, or of the column of this name."""
    found = model._meta.get_field(name)
    assert isinstance(found, models.Field)
    return found


@dataclass(frozen=True, slots=True)
class Finder:
    """Items that stand in a document between its lines; `items(document, given)` is None where none can be
    told."""

    items: Callable[[Any, Given], list[Any] | None]
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """One model's share of a document.

    `each`: where in the document its rows lie ("notes.nodes[]" a list, "author" one object, nothing: the
    document itself), several places if need be. `keeps`: columns that a null never overwrites. `births`:
    columns written with a new row only. `newest`: the column that says which of two copies of a row is
    younger. `updates`: the rows exist, fill in columns. `replaces`: within one value of this column, rows
    that the answer no longer has are removed; `within` narrows that to keys that begin so. `skips`: a Field;
    where it is true the item is no row of this table. `finds`: the items are not in the document, they are
    found out from it. `recurs`: the same rows come in every page; what was written is not offered again.
    """

    into: type[models.Model]
    key: tuple[str, ...]
    fields: Mapping[str, Field]
    each: str | tuple[str, ...] = ""
    keeps: tuple[str, ...] = ()
    births: tuple[str, ...] = ()
    newest: str = ""
    updates: bool = False
    replaces: str = ""
    within: tuple[str, str] | None = None
    skips: Field | None = None
    finds: Finder | None = None
    recurs: bool = False

    @property
    def name(self) -> str:
        return self.into._meta.db_table

    @cached_property
    def places(self) -> tuple[str, ...]:
        return (self.each,) if isinstance(self.each, str) else self.each

    @property
    def is_nested(self) -> bool:
        return self.places != ("",) or self.finds is not None

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns written, in order."""
        return tuple(self._column(name, source) for name, source in self.fields.items())

    def _column(self, name: str, source: Field) -> Column:
        column = column_of(self.into, name)
        absent = NULL if column.null and name not in self.key else empty_for(column)
        return Column(
            column.attname, source.attribute, source.read, cell_for(column), absent, values_of(source),
            usual_cells_for(column),
        )  # fmt: skip

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Where in a row its key stands."""
        names = [column.name for column in self.columns]
        return tuple(names.index(column_of(self.into, name).attname) for name in self.key)

    @cached_property
    def key_of(self) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """A row's key, from the row."""
        first, *others = self.key_places
        return itemgetter(first, *others) if others else lambda row: (row[first],)

    @cached_property
    def newest_place(self) -> int | None:
        return [column.name for column in self.columns].index(self.newest) if self.newest else None

    @property
    def paths(self) -> list[str]:
        """Everything that is read, as paths from the document."""
        if self.finds is not None:
            return list(self.finds.paths)
        read = [path for source in self.fields.values() for path in source.paths]
        read += self.skips.paths if self.skips else ()
        found = [f"{place}.{path}" if place else path for place in self.places for path in read]
        return found or [place for place in self.places if place]

    @cached_property
    def _ways(self) -> list[Callable[[Any], list[Any] | None]]:
        """The ways to the items, one for each place."""
        return [_way(place) for place in self.places]

    def items(self, document: Any) -> list[Any] | None:
        """The items of this table in a document; None where the answer does not speak of them."""
        if not self.is_nested:
            return [document]
        if len(self._ways) == 1:
            return self._ways[0](document)
        return [item for way in self._ways for item in way(document) or ()]


def _way(place: str) -> Callable[[Any], list[Any] | None]:
    """From a document to the items at a place: the lists to walk through, and what follows the last."""
    lists = [tuple(piece.strip(".").split(".")) for piece in place.split("[]") if piece.strip(".")]
    last = () if place.endswith("[]") or not place else lists.pop()
    if not lists and len(last) == 1:
        return lambda document: [] if (item := getattr(document, last[0])) is None else [item]

    def items(document: Any) -> list[Any] | None:
        found = _walk(document, lists)
        if found is None or not last:
            return found
        return [end for item in found if (end := dig(item, last)) is not None]

    return items


def _walk(document: Any, lists: list[tuple[str, ...]]) -> list[Any] | None:
    items = [document]
    for step in lists:
        found = [dig(item, step) for item in items]
        if found == [None]:
            return None
        items = [item for inner in found for item in inner or () if item is not None]
    return items


@dataclass(slots=True)
class Refused:
    """A row for the quarantine."""

    entity: str
    entity_id: str
    reason: str
    payload: bytes
    parent_id: int | None = None


@dataclass(slots=True)
class Harvest:
    """Rows as text by key (a later copy wins unless an earlier one is younger), and what was refused."""

    rows: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    replaced: list[Any] = field(default_factory=list)  # values of `replaces` that were read completely


def rows_of(table: Table, documents: Iterable[Document]) -> Harvest:
    """Every item of `table` in the documents, as a row or as a refusal."""
    harvest, found = Harvest(), Found([], [], [])
    for document, given in documents:
        if isinstance(document, Unread):
            if not table.is_nested:  # once for the document, not once for every table that would have read it
                refused = Refused(
                    table.name, document.entity_id, document.reason, document.payload, _parent_of(given)
                )
                harvest.refused.append(refused)
            continue
        items = table.finds.items(document, given) if table.finds else table.items(document)
        if items is not None and table.replaces in given:
            _of_one_document(harvest, table, items, document, given)
        elif items:
            found.items.extend(items)
            found.documents.extend([document] * len(items))
            found.givens.extend([given] * len(items))
    _add_all(harvest, table, found)
    return harvest


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
        harvest.refused.append(Refused(table.name, _name_of(item), str(error), payload, _parent_of(given)))
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


def _parent_of(given: Given) -> int | None:
    """The merge request or pipeline that the document belongs to, if it was read for one."""
    return given.get("mr_id") or given.get("pipeline_id")


def _name_of(item: Any) -> str:
    found = (getattr(item, name, None) for name in ("id", "iid", "tag_name", "name", "sha"))
    return next((str(value)[:200] for value in found if value is not None), "")


def given_for(project_id: int | None, *, now: dt.datetime, **more: Any) -> dict[str, Any]:
    """What every row of a scan may ask for. `latest`: the last instant that is believed."""
    return {"project_id": project_id, "latest": now + DAY, "now": now, **more}

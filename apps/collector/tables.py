"""Table: how documents of one shape become rows of one model; rows_of: doing it, row by row, losing none in
silence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
from django.db import models

from apps.collector.fields import Field, dig
from apps.collector.normalise import DAY, NULL, Cell, Unfit, cell_for, empty_for
from apps.collector.shapes import Unread

Given = Mapping[str, Any]
Document = tuple[Any, Given]  # what GitLab sent, and what the scan knew when it asked


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    read: Any
    cell: Cell
    absent: str | None  # the text for null; None: a row without a value is refused


def column_of(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """The model's field of this name, or of the column of this name."""
    found = model._meta.get_field(name)
    assert isinstance(found, models.Field)
    return found


@dataclass(frozen=True)
class Table:
    """One model's share of a document.

    `each`: where in the document its rows lie ("notes.nodes[]" a list, "author" one object, "" the document
    itself). `keeps`: columns that a null never overwrites. `births`: columns written with a new row only.
    `newest`: the column that says which of two copies of a row is younger. `updates`: the rows exist, fill in
    columns. `replaces`: within one value of this column, rows that the answer no longer has are removed;
    `within` narrows that to keys that begin so. `skips`: a Field; where it is true the item is no row of this
    table.
    """

    into: type[models.Model]
    key: tuple[str, ...]
    fields: Mapping[str, Field]
    each: str = ""
    keeps: tuple[str, ...] = ()
    births: tuple[str, ...] = ()
    newest: str = ""
    updates: bool = False
    replaces: str = ""
    within: tuple[str, str] | None = None
    skips: Field | None = None

    @property
    def name(self) -> str:
        return self.into._meta.db_table

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns written, in order, with the project's own where the model has one."""
        return tuple(self._column(name, source) for name, source in self.fields.items())

    def _column(self, name: str, source: Field) -> Column:
        column = column_of(self.into, name)
        absent = NULL if column.null and name not in self.key else empty_for(column)
        return Column(column.attname, source.read, cell_for(column), absent)

    @property
    def paths(self) -> list[str]:
        """Everything that is read, as paths from the document."""
        read = [path for source in self.fields.values() for path in source.paths]
        read += self.skips.paths if self.skips else ()
        return [f"{self.each}.{path}" if self.each else path for path in read] or (
            [self.each] if self.each else []
        )

    @cached_property
    def _steps(self) -> list[tuple[str, ...]]:
        """The way to the items, cut where a list stands."""
        return [tuple(piece.strip(".").split(".")) for piece in self.each.split("[]") if piece.strip(".")]

    def items(self, document: Any) -> list[Any] | None:
        """The items of this table in a document; None where the answer does not speak of them."""
        if not self.each:
            return [document]
        *lists, last = self._steps if not self.each.endswith("[]") else [*self._steps, ()]
        items = [document]
        for step in lists:
            found = [dig(item, step) for item in items]
            if found == [None]:
                return None
            items = [item for inner in found for item in inner or () if item is not None]
        return [item for item in (dig(item, last) for item in items) if item is not None]


@dataclass(slots=True)
class Refused:
    """A row for the quarantine."""

    entity: str
    entity_id: str
    reason: str
    payload: bytes


@dataclass(slots=True)
class Harvest:
    """Rows as text by key (a later copy wins unless an earlier one is younger), and what was refused."""

    rows: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    replaced: list[Any] = field(default_factory=list)  # values of `replaces` that were read completely


def rows_of(table: Table, documents: Iterable[Document]) -> Harvest:
    """Every item of `table` in the documents, as a row or as a refusal."""
    harvest = Harvest()
    positions = {column.name: place for place, column in enumerate(table.columns)}
    key = tuple(positions[column_of(table.into, name).attname] for name in table.key)
    newest = positions[table.newest] if table.newest else None
    for document, given in documents:
        if isinstance(document, Unread):
            _refuse_unread(harvest, table, document)
            continue
        items = table.items(document)
        whole = items is not None
        for item in items or ():
            whole = _add(harvest, table, (item, document, given), key, newest) and whole
        if whole and table.replaces in given:
            harvest.replaced.append(given[table.replaces])
    return harvest


def _refuse_unread(harvest: Harvest, table: Table, document: Unread) -> None:
    if not table.each:  # once for the document, not once for every table that would have read it
        harvest.refused.append(Refused(table.name, document.entity_id, document.reason, document.payload))


def _add(
    harvest: Harvest, table: Table, where: tuple[Any, Any, Given], key: tuple[int, ...], newest: int | None
) -> bool:
    item, document, given = where
    if table.skips is not None and table.skips.read(item, document, given):
        return True
    latest = given["latest"]
    try:
        row = tuple([_cell(column, item, document, given, latest) for column in table.columns])
    except Unfit as error:
        harvest.refused.append(Refused(table.name, _name_of(item), str(error), msgspec.json.encode(item)))
        return False
    name = tuple([row[place] for place in key])
    before = harvest.rows.get(name)
    if before is None or newest is None or before[newest] <= row[newest]:
        harvest.rows[name] = row
    return True


def _cell(column: Column, item: Any, document: Any, given: Given, latest: dt.datetime) -> str:
    try:
        value = column.read(item, document, given)
        if value is not None:
            return column.cell(value, latest)
    except Unfit as error:
        raise Unfit(f"{column.name} {error}") from None
    if column.absent is None:
        raise Unfit(f"{column.name} is missing")
    return column.absent


def _name_of(item: Any) -> str:
    found = (getattr(item, name, None) for name in ("id", "iid", "tag_name", "name", "sha"))
    return next((str(value)[:200] for value in found if value is not None), "")


def given_for(project_id: int | None, *, now: dt.datetime, **more: Any) -> dict[str, Any]:
    """What every row of a scan may ask for. `latest`: the last instant that is believed."""
    return {"project_id": project_id, "latest": now + DAY, "now": now, **more}

"""Table: how documents of one shape become rows of one model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from django.db import models

from apps.collector.columns import Column, Given, values_of
from apps.collector.fields import Field, dig
from apps.collector.normalise import DAY, NULL, cell_for, empty_for, usual_cells_for

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

    @cached_property
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


def given_for(project_id: int | None, *, now: dt.datetime, **more: Any) -> dict[str, Any]:
    """What every row of a scan may ask for. `latest`: the last instant that is believed."""
    return {"project_id": project_id, "latest": now + DAY, "now": now, **more}

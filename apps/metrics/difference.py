"""Replacing projects' rows of a table by new ones: built aside, compared, written where they differ."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.backends.utils import CursorWrapper

from tem import clock


@dataclass
class Difference:
    """The local days that a rebuild touched: the first and the last instant of every row that changed."""

    days: set[dt.date] = field(default_factory=set)
    rows: int = 0

    def touch(self, rows: int, *instants: dt.datetime | dt.date | None) -> None:
        """Count changed rows and the days they speak of."""
        self.rows += rows
        for instant in instants:
            if isinstance(instant, dt.datetime):
                self.days.add(clock.day_of(instant))
            elif instant is not None:
                self.days.add(instant)


_NAMES: dict[str, str] = {}
"""SELECT -> the names of its columns, asked for once."""


class Stage:
    """A temporary table like a model's, to be filled and then made to stand in its place."""

    def __init__(self, cursor: CursorWrapper, model: type[models.Model]) -> None:
        self._cursor, self.model = cursor, model
        self.table = model._meta.db_table
        self.columns = columns_of(model)
        cursor.execute(f'drop table if exists pg_temp."new_{self.table}"')
        cursor.execute(f'create temporary table "new_{self.table}" (like "{self.table}") on commit drop')
        if len(self.columns) < len(model._meta.concrete_fields):
            cursor.execute(f'alter table "new_{self.table}" drop column if exists id')

    def select(self, sql: str, parameters: dict[str, Any]) -> None:
        """Fill it from a SELECT; columns are matched by name, those that it lacks stay null."""
        if sql not in _NAMES:
            self._cursor.execute(f"select * from ({sql}) chosen limit 0", parameters)
            _NAMES[sql] = ", ".join(f'"{column.name}"' for column in self._cursor.description or ())
        self._cursor.execute(f'insert into "new_{self.table}" ({_NAMES[sql]}) {sql}', parameters)

    def fill(self, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Fill it with rows of the named columns."""
        listed = ", ".join(f'"{name}"' for name in names)
        with self._cursor.copy(f'copy "new_{self.table}" ({listed}) from stdin') as copy:
            for row in rows:
                copy.write_row(row)

    def settle(
        self, *, projects: Sequence[int], into: Mapping[int, Difference], only: Sequence[int] | None = None
    ) -> None:
        """Write the difference to what stands of these projects, and note the days it touches.

        `only`: the keys, in a table with a key of its own, that the new rows are all about; None: any.
        """
        told = {"projects": list(projects), "only": list(only or ())}
        listed, key = ", ".join(f'"{c}"' for c in self.columns), key_of(self.model)
        self._cursor.execute(  # in an order, or the whole table may be scanned for rows that are not there
            f'select project_id from "{self.table}" where project_id = any(%(projects)s)'
            " order by project_id limit 1",
            told,
        )
        stands = self._cursor.fetchone() is not None
        if stands and not self._compare(key, told, is_all=only is None):
            return
        gone = f"""
            delete from "{self.table}" t
             using unlike u
             where u.stands and t.project_id = any(%(projects)s) and {_joined("t", "u", key)}
            returning t.project_id, {self._span("t")}
        """
        come = f"""
            insert into "{self.table}" as t ({listed})
            select {", ".join(f'n."{c}"' for c in self.columns)}
              from "new_{self.table}" n
              {f"join unlike u on {_joined('n', 'u', key)}" if stands else ""}
            returning t.project_id, {self._span("t")}
        """
        for statement in (gone, come) if stands else (come,):
            self._cursor.execute(
                f"with changed as ({statement})"
                " select project_id, count(*), min(low), max(high) from changed group by project_id",
                told,
            )
            for project, rows, low, high in self._cursor.fetchall():
                into[project].touch(rows, low, high)

    def _compare(self, key: Sequence[str], told: dict[str, Any], *, is_all: bool) -> int:
        """Note in the table `unlike` the keys of rows that come, go or differ; how many they are."""
        among = "" if is_all else f'and "{key[-1]}" = any(%(only)s::bigint[])'
        rest = [c for c in self.columns if c not in key]
        differ = f"or {_row('t', rest)} is distinct from {_row('n', rest)}" if rest else ""
        self._cursor.execute("drop table if exists pg_temp.unlike")
        self._cursor.execute(
            f"""
            create temporary table unlike on commit drop as
            select {", ".join(f'coalesce(t."{c}", n."{c}") as "{c}"' for c in key)},
                   t."{key[0]}" is not null as stands
              from (select * from "{self.table}" where project_id = any(%(projects)s) {among}) t
              full join "new_{self.table}" n on {_joined("t", "n", key)}
             where t."{key[0]}" is null or n."{key[0]}" is null {differ}
            """,
            told,
        )
        return self._cursor.rowcount

    def shadow(self, *, only: None = None) -> None:
        """Stand before the real table, for this connection and until the transaction ends; write nothing."""
        self._cursor.execute(f'drop table if exists pg_temp."{self.table}"')
        self._cursor.execute(f'alter table pg_temp."new_{self.table}" rename to "{self.table}"')

    def _span(self, alias: str) -> str:
        """The earliest and latest instant or day in a row; null where the table has none."""
        times = [f.column for f in self.model._meta.concrete_fields if isinstance(f, models.DateField)]
        if not times:
            return "null::timestamptz as low, null::timestamptz as high"
        listed = ", ".join(f'{alias}."{column}"' for column in times)
        return f"least({listed}) as low, greatest({listed}) as high"


def columns_of(model: type[models.Model]) -> list[str]:
    """The columns that say something: all but a number of the row's own."""
    return [str(f.column) for f in model._meta.concrete_fields if not _is_surrogate(f)]


def key_of(model: type[models.Model]) -> list[str]:
    """The columns by which a row is known: its key from GitLab, else its unique constraint."""
    key = model._meta.pk
    if key is not None and not _is_surrogate(key):
        return [str(key.column)]
    unique = next(c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint))
    columns = {field.name: field.column for field in model._meta.concrete_fields}
    return [str(columns[name]) for name in unique.fields]


def _joined(one: str, other: str, key: Sequence[str]) -> str:
    return " and ".join(f'{one}."{c}" = {other}."{c}"' for c in key)


def _row(alias: str, columns: Sequence[str]) -> str:
    return "row(" + ", ".join(f'{alias}."{c}"' for c in columns) + ")"


def _is_surrogate(column: models.Field[Any, Any]) -> bool:
    return column.primary_key and column.column == "id"

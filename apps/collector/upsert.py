"""One guarded upsert for every table: COPY into a stage of this connection, then one statement into the
table.

An old page never beats a new row, a row whose content is unchanged is not touched (not even locked), and rows
are written in the order of their keys, so that two workers that share rows cannot wait for each other in a
circle. Many rows of which the table knows none, as in a first reading, are copied into it without a stage.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any
from zlib import crc32

from django.db import connection, models, transaction
from psycopg.errors import UniqueViolation

from apps.collector.harvest import Refused
from apps.collector.models import Quarantine
from apps.collector.tables import Table, column_of

MANY = 200  # rows; fewer are not worth the question whether they are known
Cursor = Any  # Django's wrapper around psycopg's: its type knows no COPY


def upsert(
    table: Table, rows: Iterable[tuple[str, ...]], *, now: dt.datetime, whole: list[object] | None = None
) -> int:
    """Write rows of COPY text; answers how many were new or changed. To be called inside a transaction.

    `whole`: values of the column `table.replaces` (or of project_id) of which these rows are all there are:
    other rows of theirs are removed.
    """
    rows = list(rows)
    if not rows and not whole:
        return 0
    with connection.cursor() as cursor:
        if len(rows) >= MANY and not whole and _copied(cursor, table, rows, now):
            return len(rows)
        _stage(cursor, table, rows)
        if whole:
            _remove_absent(cursor, table, whole)
        if not rows:
            return 0
        cursor.execute(_update(table) if table.updates else _insert(table), {"now": now})
        return cursor.rowcount


def _copied(cursor: Cursor, table: Table, rows: list[tuple[str, ...]], now: dt.datetime) -> bool:
    """Whether these rows were all new, and now stand in the table."""
    place = _whole_key(table)
    if place is None:
        return False
    ids = [int(row[place]) for row in rows]
    known = f"select from {table.name} where {_key(table)[0]} = any(%s) limit 1"  # our own names
    cursor.execute(known, [ids])
    if cursor.fetchone() is not None:
        return False
    end = f"\t{now.isoformat()}\n"
    text = "".join(["\t".join(row) + end for _, row in sorted(zip(ids, rows, strict=True))])
    try:
        with transaction.atomic():
            _copy(cursor, f"{table.name} ({', '.join(_columns(table))}, fetched_at)", text)
    except UniqueViolation:  # another worker was first with one of them
        return False
    return True


@lru_cache(maxsize=128)
def _whole_key(table: Table) -> int | None:
    """Where in a row its key stands, for a table with one whole number for a key."""
    is_simple = len(table.key) == 1 and not table.updates
    is_whole = is_simple and isinstance(column_of(table.into, table.key[0]), models.IntegerField)
    return table.key_places[0] if is_whole else None


def _copy(cursor: Cursor, target: str, text: str) -> None:
    with cursor.copy(f"copy {target} from stdin") as copy:
        copy.write(text)


def _remove_absent(cursor: Cursor, table: Table, values: list[object]) -> None:
    key = " and ".join(f"t.{name} = s.{name}" for name in _key(table))
    narrow = f"and starts_with(t.{table.within[0]}, %(start)s)" if table.within else ""
    cursor.execute(
        f"delete from {table.name} t"  # noqa: S608  # the names are those of our own models
        f" where t.{table.replaces or 'project_id'} = any(%(values)s) {narrow}"
        f" and not exists (select from {_stage_name(table)} s where {key})",
        {"values": values, "start": table.within[1] if table.within else ""},
    )


def quarantine(
    refused: Iterable[Refused], *, project_id: int | None, endpoint: str = "", now: dt.datetime
) -> None:
    """Keep the reason and a hash of every row that could not be read; its payload may hold anything."""
    Quarantine.objects.bulk_create(
        [
            Quarantine(
                project_id=project_id or row.project_id, entity=row.entity,
                entity_id=row.entity_id.replace("\0", ""), reason=row.reason,
                payload_hash=sha256(row.payload).hexdigest(), endpoint=endpoint,
                parent_id=row.parent_id, first_seen_at=now,
            )
            for row in refused
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _key(table: Table) -> list[str]:
    return [column_of(table.into, name).attname for name in table.key]


@lru_cache(maxsize=128)
def _stage_name(table: Table) -> str:
    return f"stage_{table.name}_{crc32(' '.join(_columns(table)).encode())}"


def _stage(cursor: Cursor, table: Table, rows: list[tuple[str, ...]]) -> None:
    columns, stage = ", ".join(_columns(table)), _stage_name(table)
    cursor.execute(
        f"create temp table if not exists {stage} on commit delete rows as"  # noqa: S608  # our own names
        f" select {columns} from {table.name} with no data; delete from {stage}"
    )
    if rows:
        _copy(cursor, f"{stage} ({columns})", "".join(["\t".join(row) + "\n" for row in rows]))


def _renewed(table: Table, incoming: str) -> dict[str, str]:
    """Column -> what it becomes when a known row comes again."""
    skipped = {*_key(table), *table.births}
    columns = [name for name in _columns(table) if name not in skipped]
    return {
        name: f"coalesce({incoming}.{name}, t.{name})" if name in table.keeps else f"{incoming}.{name}"
        for name in columns
    }


def _is_news(table: Table, incoming: str) -> str:
    renewed = _renewed(table, incoming)
    if not renewed:
        return "false"
    distinct = (
        f"({', '.join(f't.{name}' for name in renewed)}) is distinct from ({', '.join(renewed.values())})"
    )
    guard = f"t.{table.newest} <= {incoming}.{table.newest} and " if table.newest else ""
    return f"({guard}{distinct})"


def _assignments(table: Table, incoming: str) -> str:
    return ", ".join(f"{name} = {value}" for name, value in _renewed(table, incoming).items())


@lru_cache(maxsize=128)
def _insert(table: Table) -> str:
    columns, key = ", ".join(_columns(table)), _key(table)
    join = " and ".join(f"t.{name} = s.{name}" for name in key)
    assignments = f"{_assignments(table, 'excluded')}, fetched_at = excluded.fetched_at"
    renewal = f"do update set {assignments} where {_is_news(table, 'excluded')}"
    return f"""
        insert into {table.name} as t ({columns}, fetched_at)
        select {", ".join(f"s.{name}" for name in _columns(table))}, %(now)s
          from {_stage_name(table)} s
          left join {table.name} t on {join}
         where t.{key[0]} is null or {_is_news(table, "s")}
         order by {", ".join(f"s.{name}" for name in key)}
        on conflict ({", ".join(key)}) {renewal if _renewed(table, "s") else "do nothing"}
    """  # noqa: S608  # the names are those of our own models


@lru_cache(maxsize=128)
def _update(table: Table) -> str:
    join = " and ".join(f"t.{name} = s.{name}" for name in _key(table))
    return f"""
        update {table.name} t set {_assignments(table, "s")}, fetched_at = %(now)s
          from {_stage_name(table)} s
         where {join} and {_is_news(table, "s")}
    """  # noqa: S608  # the names are those of our own models

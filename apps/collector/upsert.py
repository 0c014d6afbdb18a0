"""One guarded upsert for every table: COPY into a stage of this connection, then one statement into the
table.

An old page never beats a new row, a row whose content is unchanged is not touched (not even locked), and rows
are written in the order of their keys, so that two workers that share rows cannot wait for each other in a
circle.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from hashlib import sha256
from zlib import crc32

from django.db import connection

from apps.collector.models import Quarantine
from apps.collector.tables import Refused, Table, column_of


def upsert(table: Table, rows: Iterable[tuple[str, ...]], *, now: dt.datetime) -> int:
    """Write rows of COPY text; answers how many were new or changed. To be called inside a transaction."""
    rows = list(rows)
    if not rows:
        return 0
    with connection.cursor() as cursor:
        _stage(cursor, table, rows)
        statement = _update(table) if table.updates else _insert(table)
        cursor.execute(statement, {"now": now})
        return cursor.rowcount


def remove_absent(table: Table, rows: Iterable[tuple[str, ...]], *, column: str, values: list[object]) -> int:
    """Delete the rows with one of `values` in `column` that are not among `rows`. Inside a transaction."""
    if not values:
        return 0
    key = " and ".join(f"t.{name} = s.{name}" for name in _key(table))
    narrow = f"and starts_with(t.{table.within[0]}, %(start)s)" if table.within else ""
    with connection.cursor() as cursor:
        _stage(cursor, table, list(rows))
        cursor.execute(
            f"delete from {table.name} t where t.{column} = any(%(values)s) {narrow}"  # noqa: S608  # our names
            f" and not exists (select from {_stage_name(table)} s where {key})",
            {"values": values, "start": table.within[1] if table.within else ""},
        )
        return cursor.rowcount


def quarantine(refused: Iterable[Refused], *, project_id: int | None, now: dt.datetime) -> None:
    """Keep the reason and a hash of every row that could not be read; its payload may hold anything."""
    Quarantine.objects.bulk_create(
        [
            Quarantine(
                project_id=project_id, entity=row.entity, entity_id=row.entity_id.replace("\0", ""),
                reason=row.reason, payload_hash=sha256(row.payload).hexdigest(), first_seen_at=now,
            )
            for row in refused
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _key(table: Table) -> list[str]:
    return [column_of(table.into, name).attname for name in table.key]


def _stage_name(table: Table) -> str:
    return f"stage_{table.name}_{crc32(' '.join(_columns(table)).encode())}"


def _stage(cursor, table: Table, rows: list[tuple[str, ...]]) -> None:  # type: ignore[no-untyped-def]  # Django's wrapper
    columns, stage = ", ".join(_columns(table)), _stage_name(table)
    cursor.execute(
        f"create temp table if not exists {stage} on commit delete rows as"  # noqa: S608  # our own names
        f" select {columns} from {table.name} with no data"
    )
    cursor.execute(f"delete from {stage}")  # noqa: S608  # a name of our own
    text = "".join(["\t".join(row) + "\n" for row in rows])
    with cursor.copy(f"copy {stage} ({columns}) from stdin") as copy:
        copy.write(text)


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


def _update(table: Table) -> str:
    join = " and ".join(f"t.{name} = s.{name}" for name in _key(table))
    return f"""
        update {table.name} t set {_assignments(table, "s")}, fetched_at = %(now)s
          from {_stage_name(table)} s
         where {join} and {_is_news(table, "s")}
    """  # noqa: S608  # the names are those of our own models

"""Rows as PostgreSQL's binary COPY has them, to and from columns of numbers. Knows no table.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". Everything is big-endian: a field is
its length and its bytes, a row is the number of its fields and the fields.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray

from apps.metrics.intervals import Integers

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL = b"\xff\xff"
_EPOCH = dt.date(2000, 1, 1).toordinal()
_LENGTH, _COUNT = np.dtype(">i4"), np.dtype(">i2")
_BIG = np.dtype(">i8")


def columns_of(
    cursor: CursorWrapper, sql: str, parameters: Mapping[str, Any], *, names: Sequence[str]
) -> list[Integers]:
    """The columns of a SELECT of bigints, none of them null. Raises ValueError where one is."""
    with cursor.copy(f"copy ({sql}) to stdout (format binary)", parameters) as copy:
        text = b"".join(bytes(piece) for piece in copy)
    row = np.dtype(
        [("fields", _COUNT)] + [part for name in names for part in ((f"{name}#", _LENGTH), (name, _BIG))]
    )
    body = memoryview(text)[len(HEAD) : -len(TAIL)]
    if len(body) % row.itemsize:
        raise ValueError(f"A null, or no bigint, among {', '.join(names)}.")
    rows = np.frombuffer(body, dtype=row)
    if any((rows[f"{name}#"] != _BIG.itemsize).any() for name in names):
        raise ValueError(f"A null, or no bigint, among {', '.join(names)}.")
    return [rows[name].astype(np.int64) for name in names]


class Null:
    """A column that is null in every row."""


class Places:
    """Numbers with four decimal places, told in ten-thousandths."""

    def __init__(self, units: Integers) -> None:
        self.units = units


class Dates:
    """Days, by their ordinals."""

    def __init__(self, ordinals: Integers) -> None:
        self.ordinals = ordinals


Column = Integers | str | Null | Places | Dates


def rows(columns: Mapping[str, Column], *, count: int) -> bytes:
    """So many rows: each column an array of bigints, days or places, or one text (or null) for all rows."""
    fields: list[tuple[Any, ...]] = [("fields", _COUNT)]
    values: dict[str, Any] = {"fields": len(columns)}
    for name, column in columns.items():
        fields.append((f"{name}#", _LENGTH))
        kind, value = _field(column)
        values[f"{name}#"] = -1 if kind is None else kind.itemsize
        if kind is not None and kind.itemsize:  # an empty text has a length and nothing else
            fields.append((name, kind))
            values[name] = value
    found = np.empty(count, dtype=fields)
    for name, value in values.items():
        found[name] = value
    return found.tobytes()


def _field(column: Column) -> tuple[np.dtype[Any] | None, Any]:
    """What a field looks like (None: null), and what is in it."""
    if isinstance(column, Null):
        return None, None
    if isinstance(column, str):
        return np.dtype(f"S{len(column.encode())}"), column.encode()
    if isinstance(column, Dates):
        return _LENGTH, column.ordinals - _EPOCH
    if isinstance(column, Places):
        numeric = _numeric(column.units)
        return numeric.dtype, numeric
    return _BIG, column


_DIGITS = 5  # four of the whole number, in base 10,000, and one of the places: more than an int64 has
_NUMERIC = np.dtype(
    [
        ("digits", _COUNT),
        ("weight", _COUNT),
        ("sign", ">u2"),
        ("scale", _COUNT),
        ("digit", _COUNT, (_DIGITS,)),
    ]
)


def _numeric(units: Integers) -> NDArray[Any]:
    """PostgreSQL strips the zeros in front and behind."""
    found = np.zeros(len(units), dtype=_NUMERIC)
    found["digits"], found["weight"], found["scale"] = _DIGITS, _DIGITS - 2, 4
    found["sign"] = np.where(units < 0, 0x4000, 0)
    rest = np.abs(units)
    for place in reversed(range(_DIGITS)):
        rest, found["digit"][:, place] = np.divmod(rest, 10_000)
    return found

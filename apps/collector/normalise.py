"""From what GitLab sent to what a column can hold: one cell at a time, as text for COPY.

GitLab is not to be trusted with our tables: a NUL refuses a whole batch, and a year 99999 makes a stored row
unreadable. What does not fit raises Unfit with the reason; an unknown word in an enumeration is just text.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

NULL = r"\N"
LONGEST_TEXT = 4_000
LONGEST_KEY = 600  # of text in an index: PostgreSQL takes 2,700 bytes, UTF-8 up to four a character
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
_HARMFUL = re.compile("[\x00\ud800-\udfff]")
_SPECIAL = re.compile("[\x00\\\\\t\n\r\ud800-\udfff]")
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NEEDS_ESCAPE = re.compile(r"[\\\t\n\r]")

Cell = Callable[[Any, dt.datetime], str]
Cells = Callable[[list[Any], dt.datetime], list[str] | None]  # None where the values are not all usual


class Ahead(str):
    """An instant in the future that its own field has found good."""

    __slots__ = ()


class Unfit(Exception):
    """This value cannot be held by its column; the message says why and holds no value."""


def clean(value: str) -> str:
    """Text without NUL, and with lone surrogates replaced: anything else is kept."""
    if value.isascii() and "\0" not in value:
        return value
    return _HARMFUL.sub(lambda found: "" if found[0] == "\0" else "\ufffd", value)


def _escape(value: str) -> str:
    return value.translate(_ESCAPED) if _NEEDS_ESCAPE.search(value) else value


def _text(longest: int) -> Cell:
    def cell(value: Any, latest: dt.datetime) -> str:
        if type(value) is str:
            if _SPECIAL.search(value) is None:
                return value if len(value) <= longest else value[:longest]
            return _escape(clean(value)[:longest])
        if isinstance(value, bool | int | float):
            return str(value)
        raise Unfit("is not text")

    return cell


def _whole(bits: int) -> Cell:
    limit = 2 ** (bits - 1)

    def cell(value: Any, latest: dt.datetime) -> str:
        if type(value) is not int:
            value = _to_whole(value)
        if not -limit <= value < limit:
            raise Unfit(f"does not fit {bits} bits")
        return str(value)

    return cell


def _to_whole(value: Any) -> int:
    """Whole numbers also come as text (GraphQL ids) and as floats without a fraction."""
    if type(value) is str and value.isascii() and value.strip().lstrip("-").isdigit():
        return int(value[:25])
    if type(value) is float and value.is_integer():
        return int(value)
    raise Unfit("is not a whole number")


def _real(value: Any, latest: dt.datetime) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit("is not a finite number")
    return repr(float(value))


def _claim(value: Any, latest: dt.datetime) -> str:
    if type(value) is not bool:
        raise Unfit("is neither true nor false")
    return "t" if value else "f"


def instant(value: Any) -> dt.datetime:
    """An instant in UTC; raises Unfit where it is none.

    Date words of old servers ("… UTC") are understood.
    """
    if isinstance(value, dt.datetime):
        return value
    if type(value) is not str:
        raise Unfit("is not an instant")
    try:
        moment = dt.datetime.fromisoformat(value if value[-1:] == "Z" else value.replace(" UTC", "+00:00"))
        if moment.tzinfo is dt.UTC:
            return moment
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise Unfit("is not an instant") from error


def _instant(value: Any, latest: dt.datetime) -> str:
    if isinstance(value, Ahead):
        return str(value)
    moment = instant(value)
    if not EARLIEST <= moment <= latest:
        raise Unfit("lies before 1970 or in the future")
    usual = type(value) is str and value[-1] == "Z" and len(value) in (20, 24) and value[10] == "T"
    return value if usual else moment.isoformat()


def _names(value: Any) -> list[str]:
    """A list of names; GitLab sends some lists as objects with a title or a name."""
    if not isinstance(value, list):
        raise Unfit("is not a list")
    names = [item.get("title", item.get("name")) if isinstance(item, dict) else item for item in value]
    texts = [clean(name)[:LONGEST_KEY] for name in names if isinstance(name, str)]
    if len(texts) < len(names):
        raise Unfit("is not a list of names")
    return texts


def _json(value: Any, latest: dt.datetime) -> str:
    return _escape(json.dumps(_names(value), ensure_ascii=False))


def _array(value: Any, latest: dt.datetime) -> str:
    quoted = ('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in _names(value))
    return _escape("{" + ",".join(quoted) + "}")


def _numbers(value: Any, latest: dt.datetime) -> str:
    if not isinstance(value, list):
        raise Unfit("is not a list")
    whole = _whole(64)
    return "{" + ",".join(whole(number, latest) for number in value) + "}"


def cell_for(column: models.Field) -> Cell:
    """How a value becomes text for this column."""
    if isinstance(column, ArrayField):
        return _numbers if isinstance(column.base_field, models.IntegerField) else _array
    if isinstance(column, models.JSONField):
        return _json
    if isinstance(column, models.DateTimeField):
        return _instant
    if isinstance(column, models.BooleanField):
        return _claim
    if isinstance(column, models.FloatField):
        return _real
    if isinstance(column, models.BigIntegerField | models.ForeignKey):
        return _whole(64)
    if isinstance(column, models.IntegerField):
        return _whole(32)
    return _text(_longest(column))


# --- many cells at once: the same text as cell by cell, for values of which none is odd ---------


def _usual_texts(longest: int) -> Cells:
    def cells(values: list[Any], latest: dt.datetime) -> list[str] | None:
        joined = "".join(values)
        if any(special in joined for special in "\\\t\n\r\0") or max(map(len, values)) > longest:
            return None
        return values if joined.isascii() or _SPECIAL.search(joined) is None else None

    return cells


def _usual_wholes(bits: int) -> Cells:
    limit = 2 ** (bits - 1)

    def cells(values: list[Any], latest: dt.datetime) -> list[str] | None:
        return list(map(str, values)) if -limit <= min(values) and max(values) < limit else None

    return cells


def _usual_claims(values: list[Any], latest: dt.datetime) -> list[str] | None:
    return ["t" if value else "f" for value in values]


def _usual_instants(values: list[Any], latest: dt.datetime) -> list[str] | None:
    """Instants as GitLab writes them: in UTC, with a T and a Z, to the second or to the millisecond."""
    if not set(map(len, values)) <= {20, 24} or set(map(itemgetter(10, -1), values)) != {("T", "Z")}:
        return None
    try:
        moments = list(map(dt.datetime.fromisoformat, values))
    except ValueError:
        return None
    return values if min(moments) >= EARLIEST and max(moments) <= latest else None


def usual_cells_for(column: models.Field) -> tuple[type, Cells] | None:
    """The type that usual values of this column have, and how many of them become text at once."""
    cell = cell_for(column)
    if cell is _instant:
        return str, _usual_instants
    if cell is _claim:
        return bool, _usual_claims
    if isinstance(column, models.IntegerField | models.ForeignKey):
        return int, _usual_wholes(
            64 if isinstance(column, models.BigIntegerField | models.ForeignKey) else 32
        )
    return (
        (str, _usual_texts(_longest(column)))
        if isinstance(column, models.CharField | models.TextField)
        else None
    )


def _longest(column: models.Field) -> int:
    return LONGEST_KEY if column.unique or _is_indexed(column) else LONGEST_TEXT


def _is_indexed(column: models.Field) -> bool:
    meta = column.model._meta
    named = [name for index in meta.indexes for name in index.fields]
    named += [name for constraint in meta.constraints for name in getattr(constraint, "fields", ())]
    return column.name in named


def empty_for(column: models.Field) -> str | None:
    """What stands in a column that may not be null when GitLab sends nothing; None where nothing may."""
    if isinstance(column, ArrayField):
        return "{}"
    return "[]" if isinstance(column, models.JSONField) else None

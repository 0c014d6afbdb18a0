"""Writing values: straight in where a day has none yet, else where they differ from what stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper

from apps.metrics.binary import HEAD, TAIL, Column, Dates, Null, Places, rows
from apps.metrics.fold import Folded, published
from apps.metrics.intervals import NONE, Integers
from apps.metrics.words import Metric, Window
from tem import clock

REASONS = ("", "no_sample", "before_history", "not_on_this_tier", "feature_disabled", "no_access")
"""Why there is no value; the first is said of what has one."""


@dataclass(frozen=True)
class Series:
    """The values of one metric: a row for each scope, a column for each day. `why`: places in REASONS."""

    metric: Metric
    window: Window
    folded: Folded
    why: Integers


_COLUMNS = 'day, metric, "window", scope_id, numerator, denominator, value, low, high, n, reason'
_SAID = "numerator, denominator, low, high, n, reason"
_ONE_WRITER = 4_21  # any number that no other lock of the product has
_FRESH = """
    select day::date
      from generate_series(%s::date, %s::date, interval '1 day') day
     where not exists (select from metric_daily m where m.day = day::date)
"""
_STORE = f"""
    with gone as (
        delete from metric_daily m
         where m.day = any(%(days)s)
           and not exists (
               select from rolled r
                where (r.scope_id, r.metric, r."window", r.day) = (m.scope_id, m.metric, m."window", m.day)
           )
        returning 1
    ), new as (
        insert into metric_daily as m ({_COLUMNS})
        select {_COLUMNS}
          from rolled r
         where not exists (
             select from metric_daily m
              where (r.scope_id, r.metric, r."window", r.day) = (m.scope_id, m.metric, m."window", m.day)
                and ({", ".join(f"r.{c}" for c in _SAID.split(", "))})
                    is not distinct from ({", ".join(f"m.{c}" for c in _SAID.split(", "))})
         )
        on conflict (day, scope_id, metric, "window") do update
           set ({_SAID}, value) = row({", ".join(f"excluded.{c}" for c in _SAID.split(", "))}, excluded.value)
        returning 1
    )
    select (select count(*) from gone) + (select count(*) from new)
"""


def store(made: Iterable[Series], *, scopes: Sequence[int], first: dt.date, last: dt.date) -> int:
    """Make the values from `first` to `last` what `made` says, for `scopes` in its order; how many changed.

    In the caller's transaction: another writer waits until it ends.
    """
    days, kept = clock.days_between(first, last), sorted(made, key=lambda one: one.metric.key)
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_ONE_WRITER])
        cursor.execute(_FRESH, [first, last])
        fresh = {day for (day,) in cursor.fetchall()}
        empty = np.array([day in fresh for day in days])
        written = _copy(cursor, "metric_daily", kept, scopes, first, empty) if fresh else 0
        if empty.all():
            return written
        cursor.execute("drop table if exists pg_temp.rolled")
        cursor.execute("create temporary table rolled (like metric_daily) on commit drop")
        _copy(cursor, "rolled", kept, scopes, first, ~empty)
        cursor.execute("analyze rolled")
        cursor.execute("set local work_mem = '128MB'")
        cursor.execute(_STORE, {"days": [day for day in days if day not in fresh]})
        return written + int(cursor.fetchone()[0])


_TOGETHER = 16
"""Scopes of a day whose values are told together: near enough to the index's order, in few pieces."""


def _copy(
    cursor: CursorWrapper,
    table: str,
    made: Iterable[Series],
    scopes: Sequence[int],
    first: dt.date,
    days: Integers,
) -> int:
    """COPY the chosen days into a table, day by day as its index has them; how many rows that were."""
    blocks = -(-len(scopes) // _TOGETHER)
    pieces: list[list[memoryview]] = [[] for _ in range(len(days) * blocks)]
    count = 0
    for one in made:
        for piece, text in _told(one, np.array(scopes, dtype=np.int64), first.toordinal(), days, blocks):
            count += len(piece)
            size, rows = len(text) // len(piece), memoryview(text)
            owners, begins = np.unique(piece, return_index=True)
            ends = [*begins[1:].tolist(), len(piece)]
            for owner, begin, end in zip(owners.tolist(), begins.tolist(), ends, strict=True):
                pieces[owner].append(rows[begin * size : end * size])
    with cursor.copy(f"copy {table} ({_COLUMNS}) from stdin (format binary)") as copy:
        copy.write(HEAD)
        for begin in range(0, len(pieces), blocks):
            copy.write(b"".join(text for own in pieces[begin : begin + blocks] for text in own))
        copy.write(TAIL)
    return count


def _told(
    one: Series, scopes: Integers, first: int, days: Integers, blocks: int
) -> Iterator[tuple[Integers, bytes]]:
    """The rows of a metric, those together that are null in the same columns and for the same reason.

    With the number of the piece that each row belongs to, which ascends.
    """
    found = one.folded
    # By day, then by scope: transposed, as the pieces are.
    day, scope = (index.ravel() for index in np.indices(found.n.T.shape))
    like = (one.why * 4 + (found.low != NONE) * 2 + (found.high != NONE)).T.ravel()
    for kind in np.unique(like):
        chosen = np.flatnonzero((like == kind) & days[day])
        if not len(chosen):
            continue
        at, bounded = (scope[chosen], day[chosen]), int(kind)
        columns: Mapping[str, Column] = {
            "day": Dates(day[chosen] + first),
            "metric": one.metric.key,
            "window": one.window.value,
            "scope_id": scopes[scope[chosen]],
            **_value(found.numerator[at], found.denominator[at], is_known=bounded < 4),
            "low": Places(found.low[at]) if bounded & 2 else Null(),
            "high": Places(found.high[at]) if bounded & 1 else Null(),
            "n": found.n[at],
            "reason": REASONS[bounded // 4],
        }
        yield day[chosen] * blocks + scope[chosen] // _TOGETHER, rows(columns, count=len(chosen))


def _value(numerator: Integers, denominator: Integers, *, is_known: bool) -> dict[str, Column]:
    if not is_known:
        return {"numerator": Null(), "denominator": Null(), "value": Null()}
    return {
        "numerator": numerator,
        "denominator": denominator,
        "value": Places(published(numerator, denominator)),
    }

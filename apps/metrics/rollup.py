"""Rolling up: every metric of every scope on every day, through one fold, written where it changed."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db import connection, transaction

from apps.metrics.fold import NOTHING, Entry, Value, days_of, rounded, running_for, value_of
from apps.metrics.models import MetricDaily, PlacedProject, Scope
from apps.metrics.registry import METRICS
from apps.metrics.samples import Sample, read
from apps.metrics.words import Metric, Shape, Window
from tem import clock


@dataclass(frozen=True)
class Rolled:
    """One value of one scope on one day, with the reason where there is none."""

    day: dt.date
    value: Value
    reason: str


def roll_up(*, first: dt.date, last: dt.date, history_from: dt.date | None) -> int:
    """Store the values of all metrics and current scopes from `first` to `last`, in default windows.

    Answers how many rows were written: none where the values stand already. `history_from` is the first day
    of the collected history; days before it have no values. Readers see the old values or the new.
    """
    if history_from is None:
        return 0
    first = max(first, history_from)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("drop table if exists rolled")
        cursor.execute("create temporary table rolled (like metric_daily) on commit drop")
        cursor.execute("alter table rolled drop column id")
        for rows in _rows_by_sample(first=first, last=last, history_from=history_from):
            with cursor.copy(f"copy rolled ({_COLUMNS}) from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
        cursor.execute(_STORE, {"first": first, "last": last})
        stored: int = cursor.fetchone()[0]
    return stored


_COLUMNS = 'day, metric, "window", scope_id, numerator, denominator, value, n, reason'
_STORE = f"""
    with gone as (
        delete from metric_daily m
         where m.day between %(first)s and %(last)s
           and not exists (
               select from rolled r
                where (r.scope_id, r.metric, r."window", r.day) = (m.scope_id, m.metric, m."window", m.day)
           )
        returning 1
    ), new as (
        insert into metric_daily as m ({_COLUMNS})
        select {_COLUMNS} from rolled
        on conflict (scope_id, metric, "window", day) do update
           set numerator = excluded.numerator, denominator = excluded.denominator, value = excluded.value,
               n = excluded.n, reason = excluded.reason
         where (m.numerator, m.denominator, m.n, m.reason)
            is distinct from (excluded.numerator, excluded.denominator, excluded.n, excluded.reason)
        returning 1
    )
    select (select count(*) from gone) + (select count(*) from new)
"""


def _rows_by_sample(
    *, first: dt.date, last: dt.date, history_from: dt.date
) -> Iterator[Iterator[tuple[object, ...]]]:
    """The rows of metrics that share a sample, sample by sample: each is read before its rows are made."""
    members = projects_by_scope()
    for _, group in groupby(METRICS, key=lambda m: (m.rows, m.window, m.shape, m.needs, m.unmeasured)):
        together = list(group)
        sample = read(together[0], window=together[0].window, first=first, last=last)
        folded = (
            (scope, fold(together, sample, projects, together[0].window, first, last, history_from))
            for scope, projects in members.items()
        )
        yield (_row(scope, metric, rolled) for scope, values in folded for metric, rolled in values)


def _row(scope: int, metric: Metric, rolled: Rolled) -> tuple[object, ...]:
    exact = rolled.value
    return (
        rolled.day, metric.key, metric.window.value, scope,
        exact.numerator, exact.denominator, rounded(exact), exact.n, rolled.reason,
    )  # fmt: skip


def fold(
    metrics: Sequence[Metric],
    sample: Sample,
    projects: Iterable[int],
    window: Window,
    first: dt.date,
    last: dt.date,
    history_from: dt.date,
) -> Iterator[tuple[Metric, Rolled]]:
    """The values of metrics that share a sample, for one scope, day by day."""
    members = list(projects)
    measured = [project for project in members if project not in sample.unmeasured]
    missing = sorted(sample.unmeasured[project] for project in members if project in sample.unmeasured)
    entries = [entry for project in measured for entry in sample.entries.get(project, ())]
    whole = history_from.toordinal() + window.days - 1
    running = running_for(metrics[0])
    is_aged = metrics[0].shape is Shape.AGE
    for number in days_of(entries, running, first=first.toordinal(), last=last.toordinal()):
        day = dt.date.fromordinal(number)
        for metric in metrics:
            if missing and not measured:
                yield metric, Rolled(day, NOTHING, missing[0])
            elif not metric.rows:
                yield metric, Rolled(day, NOTHING, "no_sample")
            elif number < whole:
                yield metric, Rolled(day, NOTHING, "before_history")
            else:
                end = end_of_day_ms(day) if is_aged else 0
                value = value_of(metric, running, window=window, end_of_day_ms=end)
                yield metric, Rolled(day, value, why(value, missing))


def why(value: Value, missing: list[str]) -> str:
    """Why there is no value: a project that cannot be measured explains it better than an empty window."""
    if value.numerator is not None:
        return ""
    return missing[0] if missing else "no_sample"


def end_of_day_ms(day: dt.date) -> int:
    """The instant that ends the local day, in milliseconds since 1970."""
    return int(clock.midnight(day + dt.timedelta(days=1)).timestamp()) * 1000


def projects_by_scope() -> dict[int, list[int]]:
    """Scope -> the projects it consists of, for every scope that exists now."""
    keys = dict(Scope.objects.filter(is_current=True).values_list("key", "pk"))
    members: dict[int, list[int]] = defaultdict(list, {pk: [] for pk in keys.values()})
    for project, path, line, team in PlacedProject.objects.order_by("project_id").values_list(
        "project_id", "path", "business_line", "team"
    ):
        for key in ("org", f"business_line:{line}", f"team:{team}", f"repo:{path}"):
            if key in keys:
                members[keys[key]].append(project)
    return dict(members)


def values_of(
    metric: Metric, scope: Scope, *, window: Window, first: dt.date, last: dt.date, history_from: dt.date
) -> list[Rolled]:
    """Any window over any days for one scope, on demand: the same statement, the same fold."""
    projects = projects_by_scope().get(scope.pk, [])
    sample = read(metric, window=window, first=first, last=last, projects=projects)
    folded = fold([metric], sample, projects, window, first, last, history_from)
    return [rolled for _, rolled in folded]


def stored(metric: Metric, scope: Scope, day: dt.date) -> MetricDaily | None:
    """The value as it stands in its default window."""
    return MetricDaily.objects.filter(
        metric=metric.key, scope=scope, day=day, window=metric.window.value
    ).first()


def entries_of(contributions: Iterable[int], day: dt.date) -> list[Entry]:
    """Contributions of one day as entries, to be folded like any others."""
    return [Entry(day.toordinal(), day.toordinal() + 1, value) for value in contributions]

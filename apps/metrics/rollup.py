"""Rolling up: every metric of every scope on every day, through one fold, written where it changed."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from django.db import transaction

from apps.collector.models import Server
from apps.metrics.fold import Folded, Members, Value, fold
from apps.metrics.intervals import NONE, Integers
from apps.metrics.models import MetricDaily, PlacedProject, Scope
from apps.metrics.registry import METRICS
from apps.metrics.samples import Sample, read
from apps.metrics.storing import REASONS, Series, store
from apps.metrics.words import Metric, Window
from tem import clock, telemetry


@dataclass(frozen=True)
class Rolled:
    """One value of one scope on one day, with the reason where there is none.

    `low` and `high` bound it with 95 % confidence, in ten-thousandths; None where nothing does.
    """

    day: dt.date
    value: Value
    reason: str
    low: int | None = None
    high: int | None = None


def roll_up(*, first: dt.date, last: dt.date, history_from: dt.date | None) -> int:
    """Store the values of all metrics and current scopes from `first` to `last`, in default windows.

    Answers how many rows were written: none where the values stand already. `history_from` is the first day
    of the collected history; days before it have no values. Readers see the old values or the new.
    """
    if history_from is None or last < max(first, history_from):
        return 0
    first, groups = max(first, history_from), projects_by_scope()
    members = Members.of(list(groups.values()))

    def fold_them(metrics: list[Metric], sample: Sample) -> list[Series]:
        return list(folded(metrics, sample, members, metrics[0].window, first, last, history_from))

    # One is folded while PostgreSQL reads the next. All are read before a COPY holds the line.
    days = (last - first).days + 1
    with telemetry.span("roll up", days=days), transaction.atomic(), ThreadPoolExecutor(1) as aside:
        making = [aside.submit(fold_them, *one) for one in _samples(first, last)]
        made = (one for done in making for one in done.result())
        return store(made, scopes=list(groups), first=first, last=last)


def _samples(first: dt.date, last: dt.date) -> Iterator[tuple[list[Metric], Sample]]:
    """Metrics that share a sample, with that sample."""
    groups: dict[object, list[Metric]] = defaultdict(list)
    for m in METRICS:
        adds_up = m.aggregate.tenths is None
        groups[m.rows, adds_up, m.window, m.shape, m.needs, m.unmeasured].append(m)
    for together in groups.values():
        yield together, read(together[0], window=together[0].window, first=first, last=last)


def folded(
    metrics: Sequence[Metric],
    sample: Sample,
    members: Members,
    window: Window,
    first: dt.date,
    last: dt.date,
    history_from: dt.date,
) -> Iterator[Series]:
    """The values of metrics that share a sample, with the reasons where there are none."""
    ends = end_of_days(first, last)
    measured = members.without(list(sample.unmeasured))
    values = fold(metrics, sample.entries, measured, window=window, first=first.toordinal(), ends=ends)
    missing = _missing(members, sample.unmeasured)
    some = np.bincount(measured.scope, minlength=members.scopes) > 0
    nowhere = (missing != 0) & ~some
    ordinals = np.arange(len(ends)) + first.toordinal()
    early = ordinals < history_from.toordinal() + window.days - 1
    for metric, found in zip(metrics, values, strict=True):
        why = np.where(missing != 0, missing, 1)[:, None] * (found.numerator == NONE)
        why = np.where(early, REASONS.index("before_history"), why)
        if not metric.rows:
            why = np.full_like(why, REASONS.index("no_sample"))
        why = np.where(nowhere[:, None], missing[:, None], why)
        yield Series(metric, window, _without(found, why != 0), why)


def _missing(members: Members, unmeasured: dict[int, str]) -> Integers:
    """For each scope the first, by name, of the reasons why projects in it cannot be measured; else 0."""
    found = np.zeros(members.scopes, dtype=np.int64)
    for reason in sorted(set(unmeasured.values()), reverse=True):
        projects = [project for project, why in unmeasured.items() if why == reason]
        found[members.scope[np.isin(members.project, projects)]] = REASONS.index(reason)
    return found


def _without(found: Folded, gone: Integers) -> Folded:
    nothing = (np.where(gone, NONE, column) for column in (found.low, found.high))
    return Folded(
        np.where(gone, NONE, found.numerator), found.denominator, np.where(gone, 0, found.n), *nothing
    )


def end_of_days(first: dt.date, last: dt.date) -> Integers:
    """The instants that end the local days from `first` to `last`, in milliseconds since 1970."""
    ends = (clock.midnight(day + dt.timedelta(days=1)) for day in clock.days_between(first, last))
    return np.array([int(end.timestamp()) * 1000 for end in ends], dtype=np.int64)


def history_start() -> dt.date | None:
    """The first local day of the collected history; None before there is any."""
    server = Server.objects.filter(history_since__isnull=False).order_by("-probed_at").first()
    return clock.day_of(server.history_since) if server and server.history_since else None


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
    (series,) = folded([metric], sample, Members.of([projects]), window, first, last, history_from)
    return rolled(series, first=first, scope=0)


def rolled(series: Series, *, first: dt.date, scope: int) -> list[Rolled]:
    """The days of one scope, by its place among the scopes."""
    found = series.folded
    return [
        Rolled(
            first + dt.timedelta(days=day),
            found.value(scope, day),
            REASONS[series.why[scope, day]],
            *(
                None if bound[scope, day] == NONE else int(bound[scope, day])
                for bound in (found.low, found.high)
            ),
        )
        for day in range(found.n.shape[1])
    ]


def stored(metric: Metric, scope: Scope, day: dt.date) -> MetricDaily | None:
    """The value as it stands in its default window."""
    return MetricDaily.objects.filter(
        metric=metric.key, scope=scope, day=day, window=metric.window.value
    ).first()

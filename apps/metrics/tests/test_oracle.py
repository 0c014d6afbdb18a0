"""Random histories: what is stored is what the plain reading of the definitions says, to the last digit.

Each history is an org of its own: a business line. Many lie in one database, so one computation judges all.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from fractions import Fraction
from itertools import cycle, product
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from apps.collector.models import Project
from apps.metrics.facts import build_all, deliver
from apps.metrics.models import MetricDaily, Scope
from apps.metrics.placement import place_all
from apps.metrics.registry import METRICS
from apps.metrics.rollup import Rolled, roll_up, values_of
from apps.metrics.tests.oracle import Reading, Told
from apps.metrics.tests.oracle.growing import Most, grow
from apps.metrics.tests.oracle.records import History
from apps.metrics.tests.oracle.storing import parts, rows_of, tell_org, write
from apps.metrics.words import Window
from apps.orgmap.place import OrgMap

AUTUMN, SPRING = dt.date(2025, 10, 26), dt.date(2025, 3, 30)  # the clocks change
LONG_SINCE = dt.date(2024, 6, 1)
KEYS = [metric.key for metric in METRICS if metric.rows]
SEED = int(os.environ.get("ORACLE_SEED", "20250904"))
Stored = dict[tuple[str, str, dt.date], Any]
DAY = dt.timedelta(days=1)


def grown(count: int, *, change: dt.date, start: int = SEED) -> list[History]:
    """Histories of five weeks in which the clocks change in the fourth."""
    return [grow(start + nth, nth=nth, first=change - 27 * DAY) for nth in range(count)]


def computed() -> None:
    """Facts of all projects in batches, then what crosses them."""
    projects = sorted(Project.objects.values_list("pk", flat=True))
    for start in range(0, len(projects), 200):
        build_all(projects[start : start + 200])
    deliver()


def rolled(days: list[dt.date]) -> None:
    roll_up(first=days[0], last=days[-1], history_from=history_from(days))


def history_from(days: list[dt.date]) -> dt.date:
    """The windows of thirty days begin before history on the first day and within it on the others."""
    return days[0] - 28 * DAY


def days_of(change: dt.date, count: int) -> list[dt.date]:
    return [change + (nth - 1) * DAY for nth in range(count)]


def stored() -> Stored:
    rows = MetricDaily.objects.filter(metric__in=KEYS).values_list(
        "scope__key", "metric", "day", "numerator", "denominator", "n", "reason"
    )
    return {
        (scope, key, day): (None if numerator is None else Fraction(numerator, denominator), n, reason)
        for scope, key, day, numerator, denominator, n, reason in rows.iterator()
    }


def expected(histories: list[History], days: list[dt.date]) -> Stored:
    found: Stored = {}
    for history in histories:
        reading = Reading(history)
        for scope, members in reading.scopes().items():
            for day in days:
                values = reading.values(members, day, history_from=history_from(days))
                found.update({(scope, key, day): values[key] for key in KEYS})
    return found


def agree(found: Stored, wanted: Stored) -> None:
    """Of the org, which holds many histories, nothing is expected here."""
    wrong = [
        f"{key}: stored {found.get(key)}, the page says {value}"
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(wanted)}", *wrong[:40]])


def emptied() -> None:
    """As if nothing had ever been computed; the raw rows stay."""
    tables = [m._meta.db_table for m in apps.get_app_config("metrics").get_models() if m._meta.managed]
    with connection.cursor() as cursor:
        cursor.execute(f"truncate {', '.join(tables)} cascade")


def told(histories: list[History]) -> None:
    tell_org(histories)
    write(rows_of(histories))
    place_all(org=OrgMap.load())


def judge(histories: list[History], days: list[dt.date], *, dice: int = SEED) -> int:
    """Page, increment and recompute agree; answers how many values."""
    tell_org(histories)
    first, later = parts(rows_of(histories), seed=dice)
    wanted = expected(histories, days)
    for arrived in (first, later):
        write(arrived)
        place_all(org=OrgMap.load())
        computed()
        rolled(days)
    incremental = stored()
    agree(incremental, wanted)
    emptied()
    place_all(org=OrgMap.load())
    computed()
    rolled(days)
    agree(stored(), incremental)
    return len(wanted)


SMALL = st.builds(
    Most, **{what: st.integers(what == "projects", most) for what, most in Most()._asdict().items()}
)
SEEDS = st.integers(0, 2**32 - 1)
ORGS = st.lists(st.tuples(SEEDS, st.just(Most()) | SMALL), min_size=1, max_size=125)


@pytest.mark.django_db
@pytest.mark.timeout(1200)  # finding the smallest history that fails takes its time
@pytest.mark.parametrize("change", [AUTUMN, SPRING], ids=["autumn", "spring"])
def test_histories_have_the_values_of_the_page_computed_at_once_or_in_parts(change: dt.date) -> None:
    """Many orgs lie in one computation, or it would not fit; 500 and more of them."""
    seen = 0

    @seed(SEED + change.month)
    @settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(ORGS)
    def check(orgs: list[tuple[int, Most]]) -> None:
        nonlocal seen
        first = change - 27 * DAY
        histories = [grow(one, nth=nth, first=first, most=most) for nth, (one, most) in enumerate(orgs)]
        with transaction.atomic():
            judge(histories, days_of(change, 3))
            transaction.set_rollback(True)
        seen += len(orgs)

    check()
    with transaction.atomic():
        more = max(0, 250 - seen)
        judge(grown(more, change=change, start=SEED + change.month), days_of(change, 3))
        transaction.set_rollback(True)


@pytest.mark.soak
@pytest.mark.django_db
@pytest.mark.timeout(3600)
def test_10_000_histories_have_the_values_of_the_page_computed_at_once_or_in_parts() -> None:
    """The seed may be given: `ORACLE_SEED=7 make soak`; it is printed with what was judged."""
    count = values = 0
    start = SEED + 100_000
    while count < 10_000:
        change = AUTUMN if count % 500 else SPRING
        with transaction.atomic():
            values += judge(grown(250, change=change, start=start + count), days_of(change, 4), dice=count)
            transaction.set_rollback(True)
        count += 250
    print(json.dumps({"seed": start, "histories": count, "values": values}))


@pytest.mark.django_db
def test_any_window_of_any_scope_has_the_value_of_the_page() -> None:
    """Each metric of each window in one of the scopes, each in its turn: to ask for all takes long."""
    histories, days = grown(4, change=AUTUMN, start=SEED + 1000), days_of(AUTUMN, 3)
    told(histories)
    computed()
    found, wanted = {}, {}
    for reading, window in product([Reading(one) for one in histories], Window):
        turn = cycle(
            [
                (
                    scope,
                    [
                        reading.values(members, day, window=window.value, history_from=LONG_SINCE)
                        for day in days
                    ],
                )
                for scope, members in reading.scopes().items()
            ]
        )
        for metric in (one for one in METRICS if one.key in KEYS):
            key, on_days = next(turn)
            scope = Scope.objects.get(key=key)
            values = values_of(
                metric, scope, window=window, first=days[0], last=days[-1], history_from=LONG_SINCE
            )
            for one, page in zip(values, on_days, strict=True):
                found[key, metric.key, window, one.day] = exact(one)
                wanted[key, metric.key, window, one.day] = page[metric.key]
    agree(found, wanted)


@pytest.mark.django_db
@pytest.mark.parametrize("nth", range(3))
def test_the_org_is_computed_from_the_entities_of_all_its_projects(nth: int) -> None:
    (history,), days = grown(1, change=SPRING, start=SEED + 2000 + nth), days_of(SPRING, 3)
    told([history])
    computed()
    rolled(days)
    reading = Reading(history)
    values = {
        day: reading.values(reading.history.projects, day, history_from=history_from(days)) for day in days
    }
    agree(stored(), {("org", key, day): values[day][key] for key in KEYS for day in days})


def exact(one: Rolled) -> Told:
    numerator, denominator, n = one.value
    return (None if numerator is None else Fraction(numerator, denominator), n, one.reason)

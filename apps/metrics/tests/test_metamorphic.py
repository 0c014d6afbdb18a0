"""What must not matter: the order of rows, their coming twice, the batches, the server's time zone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from django.db import connection

from apps.collector import models as raw
from apps.collector.models import Project
from apps.metrics.facts import build, build_all, deliver
from apps.metrics.models import MetricDaily
from apps.metrics.placement import place_all
from apps.metrics.rollup import roll_up
from apps.metrics.tests.oracle.storing import rows_of, tell_org, write
from apps.metrics.tests.test_oracle import AUTUMN, computed, days_of, emptied, grown, history_from, rolled
from apps.orgmap.place import OrgMap

HISTORIES, DAYS = 8, days_of(AUTUMN, 3)
COLUMNS = ("scope__key", "metric", "day", "numerator", "denominator", "value", "low", "high", "n", "reason")


@pytest.fixture
def before(db: None) -> set[Any]:
    """The values of some histories, all of them computed at once."""
    histories = grown(HISTORIES, change=AUTUMN)
    tell_org(histories)
    write(rows_of(histories))
    place_all(org=OrgMap.load())
    computed()
    rolled(DAYS)
    values = everything()
    assert len(values) > 4000
    return values


def everything() -> set[Any]:
    return set(MetricDaily.objects.values_list(*COLUMNS))


def again() -> None:
    emptied()
    place_all(org=OrgMap.load())
    computed()
    rolled(DAYS)


def test_the_order_in_which_rows_came_does_not_matter(before: set[Any]) -> None:
    rows = rows_of(grown(HISTORIES, change=AUTUMN))
    for kind in {type(row) for row in rows} - {raw.Project, raw.User}:
        kind._default_manager.all().delete()
    rows = [row for row in rows if not isinstance(row, raw.Project | raw.User)]
    Random(7).shuffle(rows)
    write(rows)
    again()
    assert everything() == before


def test_rows_that_are_read_again_change_nothing(before: set[Any]) -> None:
    projects = list(Project.objects.values_list("pk", flat=True))
    raw.RawMergeRequest.objects.update(fetched_at=raw.RawMergeRequest.objects.latest("updated_at").updated_at)
    assert sum(one.rows for one in build_all(projects).values()) == 0
    assert deliver().rows == 0
    assert roll_up(first=DAYS[0], last=DAYS[-1], history_from=history_from(DAYS)) == 0
    assert everything() == before


def test_the_batches_that_workers_take_do_not_matter(before: set[Any]) -> None:
    emptied()
    place_all(org=OrgMap.load())
    for project in Project.objects.order_by("-pk").values_list("pk", flat=True):
        build(project)
    deliver()
    for day in reversed(DAYS):
        roll_up(first=day, last=day, history_from=history_from(DAYS))
    assert everything() == before


@pytest.mark.django_db
def test_the_time_zone_of_the_server_does_not_matter() -> None:
    """Every connection counts in UTC, whatever the database would have it do."""
    other, fresh = connection.copy(), connection.copy()
    name = other.ops.quote_name(connection.settings_dict["NAME"])
    try:
        other.cursor().execute(f"alter database {name} set timezone to 'Pacific/Auckland'")
        with fresh.cursor() as cursor:
            cursor.execute("show timezone")
            assert cursor.fetchone() == ("UTC",)
    finally:
        other.cursor().execute(f"alter database {name} reset timezone")
        other.close()
        fresh.close()

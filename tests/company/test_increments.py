"""What increments have gathered over days is what a collection from nothing finds at the end of them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection

from apps.collector import models
from apps.collector.collect import Thoroughness
from tests.company.company import CONTENT, WEEK, collect_all, content, differences, forget

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NIGHT = Thoroughness(reread=WEEK, again=True)
SWEEP = Thoroughness(reread=WEEK, again=True, sweep=True)
PLAIN = Thoroughness()


@pytest.mark.parametrize(
    "days",
    [  # what comes last reads the least, or a thorough look would mend what the looks before it missed
        [(HOUR, PLAIN), (7 * HOUR, PLAIN), (16 * HOUR, PLAIN), (2 * DAY, PLAIN), (5 * HOUR, PLAIN)],
        [(HOUR, PLAIN), (16 * HOUR, NIGHT), (2 * DAY, SWEEP), (HOUR, PLAIN), (DAY, NIGHT)],
    ],
    ids=["by day", "by night"],
)
def test_days_of_increments_equal_a_collection_from_nothing(gitlab, days):
    client = gitlab.client()
    assert collect_all(client) == {}
    for span, how in days:
        gitlab.later(span)
        collect_all(client, how=how, sweeps=True)
    gathered = content()
    forget()
    collect_all(client)
    found = differences(gathered, content())
    assert not found, "\n".join(found)


def test_projects_at_rest_cost_next_to_nothing(gitlab):
    client = gitlab.client()
    collect_all(client)
    for span in (DAY, 6 * HOUR, HOUR):  # into the weekend
        gitlab.later(span)
        gitlab.counts()
        collect_all(client, sweeps=True)
    asked = gitlab.counts()
    of_projects = {route: count for route, count in asked.items() if route.startswith("projects/")}
    projects = models.Project.objects.filter(in_scope=True).count()
    assert sum(of_projects.values()) <= 2 * projects, of_projects


def test_a_second_collection_of_the_same_state_writes_nothing(gitlab):
    client = gitlab.client()
    collect_all(client)
    before = written()
    collect_all(client)
    collect_all(client, how=SWEEP, sweeps=True)
    assert written() == before


def written() -> dict[str, list[tuple[str, str]]]:
    """Every row's physical version."""
    found = {}
    with connection.cursor() as cursor:
        for model in CONTENT:
            cursor.execute(f"select ctid::text, xmin::text from {model._meta.db_table} order by 1")
            found[model.__name__] = cursor.fetchall()
    return found

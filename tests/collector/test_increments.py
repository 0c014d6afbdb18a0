"""What increments have gathered over days is what a collection from nothing finds at the end of them."""

from __future__ import annotations

import datetime as dt

import pytest

from apps.collector.collect import Thoroughness
from apps.orgmap.models import Organisation
from tests.collector.company import WEEK, collect_all, company, content, differences, forget

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NIGHT = Thoroughness(reread=WEEK, again=True)
SWEEP = Thoroughness(reread=WEEK, again=True, sweep=True)
PLAIN = Thoroughness()


@pytest.fixture(scope="module")
def gitlab():
    with company() as running:
        yield running


@pytest.fixture(autouse=True)
def org(db):
    Organisation.objects.create(name="Toman", root_groups=["toman"], bots=[])


def test_days_of_increments_equal_a_collection_from_nothing(gitlab):
    client = gitlab.client()
    assert collect_all(client) == {}
    for span, how in [
        (HOUR, PLAIN),
        (7 * HOUR, PLAIN),
        (16 * HOUR, NIGHT),
        (HOUR, PLAIN),
        (2 * DAY, NIGHT),
        (HOUR, SWEEP),
    ]:
        gitlab.later(span)
        collect_all(client, how=how, sweeps=True)
    gathered = content()
    forget()
    collect_all(client)
    found = differences(gathered, content())
    assert not found, "\n".join(found)

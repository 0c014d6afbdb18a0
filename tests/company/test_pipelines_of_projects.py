"""Pipelines of many projects in one query: what that spares, and who is read by itself all the same."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from apps.collector import across
from apps.collector.client import Client
from tests.collector.line import Asked, Reply, line_to
from tests.company.company import TOKEN, collect_all, company, content, differences, forget
from tests.company.test_increments import NIGHT

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
LIST, PAGE = "projects/:project/pipelines", "graphql Pipelines"


def increment_equals_a_collection_from_nothing(client: Client) -> None:
    collect_all(client, sweeps=True, how=NIGHT)
    gathered = content()
    forget()
    collect_all(client)
    found = differences(gathered, content())
    assert not found, "\n".join(found)


def test_a_night_asks_no_project_for_its_pipelines(gitlab):
    client = gitlab.client()
    collect_all(client)
    gitlab.later(DAY)
    gitlab.counts()
    collect_all(client, sweeps=True, how=NIGHT)
    asked = gitlab.counts()
    assert (asked.get(LIST, 0), asked.get(PAGE, 0)) == (0, 0), asked
    assert 0 < asked["graphql PipelinesOfProjects"] <= 8  # two a group


def test_a_project_with_many_pipelines_is_read_by_itself(gitlab, monkeypatch):
    monkeypatch.setattr(across, "ROWS", 2)
    client = gitlab.client()
    collect_all(client)
    gitlab.later(DAY)
    gitlab.counts()
    increment_equals_a_collection_from_nothing(client)
    assert gitlab.counts()[LIST] > 0


@pytest.mark.parametrize(
    ("told", "instead"),
    [
        (b'"jobs":', b'"jobs":5,"x":'),
        pytest.param(b'"ref":', b'"ref":{},"x":', marks=pytest.mark.soak),
    ],
    ids=["row", "column"],
)
def test_a_project_with_a_pipeline_that_cannot_be_read_is_read_by_itself(gitlab, told, instead):
    collect_all(gitlab.client())
    gitlab.later(DAY)

    def spoil(asked: Asked, reply: Reply) -> Reply:
        if b"PipelinesOfProjects" not in asked.body:
            return reply
        return replace(reply, body=reply.body.replace(told, instead, 1))

    with line_to(gitlab.url) as line:
        line.spoil = spoil
        increment_equals_a_collection_from_nothing(Client(url=line.url, token=TOKEN, first_wait_s=0.001))


def test_a_server_whose_graphql_keeps_the_source_to_itself_is_asked_by_rest():
    with company(**{"--graphql": "16.3"}) as older:
        client = older.client()
        collect_all(client)
        older.later(DAY)
        older.counts()
        increment_equals_a_collection_from_nothing(client)
        asked = older.counts()
        assert asked[LIST] > 0
        assert "graphql PipelinesOfProjects" not in asked

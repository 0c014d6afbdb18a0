"""Random histories of a GraphQL list that changes while its cursor walks down it."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime

import pytest
from django.db import transaction

from apps.collector.client import Client
from apps.collector.endpoints import ENDPOINTS
from apps.collector.models import RawPipeline
from apps.collector.reading import Place, Reading
from apps.collector.storing import reader_of, store
from apps.collector.tests.builders import START
from apps.collector.tests.server import Asked, FakeGitlab, Reply, answer, serving
from tests.collector.moving import BEGIN

pytestmark = pytest.mark.django_db

ROUTE = next(one for one in ENDPOINTS if one.name == "pipeline_details").routes[0]


@dataclass
class MovingPipelines:
    """Pipelines of one project by falling number, as GitLab's cursor walks through them."""

    rng: random.Random
    size: int
    pipelines: dict[int, tuple[dt.datetime, int]] = field(default_factory=dict)
    clock: dt.datetime = BEGIN
    newest: int = 0

    def __post_init__(self) -> None:
        for _ in range(self.rng.randint(5, 25)):
            self._begin()

    def answer(self, asked: Asked) -> Reply:
        self.clock += dt.timedelta(milliseconds=1)  # no answer comes at the moment of the one before
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            self._happen()
        told = asked.body["variables"]
        since, after = dt.datetime.fromisoformat(told["since"]), int(told["after"] or 10**6)
        found = [
            number for number, (at, _) in self.pipelines.items() if number < after and at >= since
        ] if not told.get("source") else []  # fmt: skip
        found.sort(reverse=True)
        some = found[: min(self.size, told["n"])]
        info = {"hasNextPage": len(some) < len(found), "endCursor": str(some[-1]) if some else None}
        place = {"pageInfo": info, "nodes": [self._written(number) for number in some]}
        date = format_datetime(self.clock, usegmt=True)
        return answer({"data": {"project": {"pipelines": place}}}, Date=date)

    def tell_the_time(self, asked: Asked) -> Reply:
        return answer({}, Date=format_datetime(self.clock, usegmt=True))

    def _written(self, number: int) -> dict[str, object]:
        jobs = {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}
        length = self.pipelines[number][1]
        return {
            "id": f"gid://gitlab/Ci::Pipeline/{number}",
            "iid": str(number),
            "duration": length,
            "jobs": jobs,
        }

    def _begin(self) -> None:
        self.newest += self.rng.randint(1, 3)
        self.pipelines[self.newest] = (self.clock, 0)

    def _happen(self) -> None:
        self.clock += dt.timedelta(seconds=self.rng.choice((0, 1, 90)))
        act = self.rng.random()
        if act < 0.3:
            self._begin()
        elif act < 0.5 and self.pipelines:
            del self.pipelines[self.rng.choice(sorted(self.pipelines))]
        elif self.pipelines:
            number = self.rng.choice(sorted(self.pipelines))
            self.pipelines[number] = (self.clock, self.pipelines[number][1] + 1)


@pytest.fixture
def gitlab() -> Iterator[FakeGitlab]:
    with serving(FakeGitlab()) as fake:
        yield fake


def listed(moving: MovingPipelines, project: int, client: Client) -> None:
    """What the list over REST, which comes before, has told; the second of the last change is over then."""
    moving.clock += dt.timedelta(seconds=2)
    client.get("/version", query={}, decode=json.loads)
    rows = [
        RawPipeline(
            pipeline_id=project * 1000 + number, project_id=project, iid=number, status="success",
            created_at=at, updated_at=at, fetched_at=at,
        )
        for number, (at, _) in moving.pipelines.items()
    ]  # fmt: skip
    RawPipeline.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["pipeline_id"], update_fields=["updated_at"]
    )


def read(client, project: int) -> None:
    """The details of what is due."""
    place = Place(project_id=project, path="toman/core/api")
    reading = Reading(
        client=client, place=place, reader=reader_of(ROUTE), since=START, cursor={}, server_fields={}
    )
    for page in ROUTE.source.pages(reading):
        with transaction.atomic():
            store(ROUTE, page, project_id=project)


def numbered(moving: MovingPipelines, project: int):
    """Numbers that no other history has."""

    def handler(asked: Asked) -> Reply:
        reply = moving.answer(asked)
        found = json.loads(reply.body)
        for node in found["data"]["project"]["pipelines"]["nodes"]:
            kind, _, number = node["id"].rpartition("/")
            node["id"] = f"{kind}/{project * 1000 + int(number)}"
        reply.body = json.dumps(found).encode()
        return reply

    return handler


def test_no_pipeline_is_lost_or_stale_after_a_walk_down_a_moving_list(gitlab, client_to):
    client = client_to(gitlab.url)
    for project in range(1, 41):
        rng = random.Random(project)
        moving = MovingPipelines(rng, size=rng.randint(2, 6))
        gitlab.handlers = {"/api/graphql": numbered(moving, project), "/version": moving.tell_the_time}
        for _ in range(rng.randint(1, 3)):
            listed(moving, project, client)
            read(client, project)
        listed(moving, project, client)
        before = dict(moving.pipelines)
        read(client, project)
        rows = {row.iid: row for row in RawPipeline.objects.filter(project_id=project)}
        for number in set(before) & set(moving.pipelines):
            assert rows[number].duration_sec >= before[number][1], (project, number)
            assert rows[number].detail_at == rows[number].updated_at, (project, number)

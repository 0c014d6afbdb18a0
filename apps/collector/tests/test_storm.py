"""A bad night: after any mix of faults the rows are those of a calm collection, byte for byte."""

from __future__ import annotations

import json
import random

import pytest

from apps.collector import models
from apps.collector.errors import GitlabUnavailable
from apps.collector.tests.builders import issue, merge_request, pipeline, project, small_world
from apps.collector.tests.server import Reply
from apps.collector.tests.test_collect import RAW, contents, run
from apps.orgmap.models import Organisation

pytestmark = pytest.mark.django_db

JSON = {"Content-Type": "application/json"}
BAD = [
    *[Reply(429, b"Retry later", {"Retry-After": value}) for value in ("0", "0.01", "-1", "later", "")],
    *[Reply(429, b"{}", JSON)] * 3,
    Reply(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}),
    Reply(500, b"{}", JSON),
    Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
    Reply(200, b'[{"id": 1,', JSON),
    Reply(200, json.dumps(["x" * 2000]).encode(), JSON, cut=True),
]


@pytest.fixture
def world(gitlab, db):
    Organisation.objects.create(name="Toman", root_groups=["toman"], bots=[])
    project()
    small_world(gitlab)
    gitlab.lists["/projects/7/merge_requests"] += [merge_request(n, updated=n % 9) for n in range(3, 130)]
    gitlab.lists["/projects/7/pipelines"] += [pipeline(n, updated=n % 7) for n in range(2, 120)]
    gitlab.lists["/projects/7/issues"] += [issue(n, updated=n, state="closed") for n in range(2, 800)]
    return gitlab


def collect_until_done(client) -> int:
    """As the ledger does: wait, then call again, until it is through; answers how often it had to."""
    for attempt in range(200):
        try:
            run(client)
            return attempt
        except GitlabUnavailable:
            continue
    raise AssertionError("it never got through")


SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_of_faults_changes_nothing_in_the_rows(world, client_of, seed):
    run(client_of())
    calm = contents()
    for model in (*RAW[1:], models.IngestionState):
        model.objects.all().delete()
    rng = random.Random(seed)
    world.faults = lambda asked: rng.choice(BAD) if rng.random() < 0.3 else None
    assert collect_until_done(client_of(patience_s=0.03, first_wait_s=0.0005)) > 0
    assert contents() == calm
    world.faults = lambda asked: None
    step = run(client_of())
    assert step.rows == 0


def test_a_long_list_that_breaks_off_is_read_on_from_there(world, client_of):
    run(client_of())
    calm = contents()
    for model in (*RAW[1:], models.IngestionState):
        model.objects.all().delete()
    asked_before = []

    def breaks(asked):
        if asked.path.endswith("/projects/7/issues"):
            asked_before.append(asked)
        return BAD[8] if len(asked_before) > 5 else None

    world.faults = breaks
    with pytest.raises(GitlabUnavailable):
        run(client_of(patience_s=0.01, first_wait_s=0.0005))
    assert 250 <= models.RawIssue.objects.count() < 800
    world.faults = lambda asked: None
    run(client_of())
    assert contents() == calm

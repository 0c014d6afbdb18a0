"""Rows that GitLab lost are found by the weekly sweep, marked and not erased; and only those."""

from __future__ import annotations

import pytest

from apps.collector import models
from apps.collector.collect import Thoroughness
from apps.collector.errors import GitlabUnavailable
from apps.collector.tests.builders import merge_request, project, small_world
from apps.collector.tests.server import Reply
from apps.collector.tests.test_collect import run
from apps.orgmap.models import Organisation

pytestmark = pytest.mark.django_db
SWEEP = Thoroughness(again=True, sweep=True)
MERGE_REQUESTS = "/projects/7/merge_requests"


@pytest.fixture
def world(gitlab, db):
    Organisation.objects.create(name="Toman", root_groups=["toman"], bots=[])
    project()
    small_world(gitlab)
    gitlab.lists[MERGE_REQUESTS] += [merge_request(n, updated=n % 9) for n in range(3, 9)]
    return gitlab


def gone() -> set[int]:
    return set(models.RawMergeRequest.objects.filter(deleted_at__isnull=False).values_list("iid", flat=True))


def lose(world, number: int) -> dict:
    """GitLab deletes a merge request: from its list, and from its own address."""
    row = next(row for row in world.lists[MERGE_REQUESTS] if row["iid"] == number)
    world.lists[MERGE_REQUESTS].remove(row)
    return row


def test_a_deleted_merge_request_is_marked_by_the_sweep_alone(world, client):
    run(client)
    lose(world, 4)
    run(client)
    assert gone() == set()
    run(client, thoroughness=SWEEP)
    assert gone() == {4}
    assert models.RawMergeRequest.objects.get(iid=4).deleted_at is not None
    assert models.RawMergeRequest.objects.count() == 8


def test_one_that_comes_back_is_there_again(world, client):
    run(client)
    row = lose(world, 4)
    run(client, thoroughness=SWEEP)
    world.lists[MERGE_REQUESTS].append(row)
    run(client, thoroughness=SWEEP)
    assert gone() == set()


def test_a_row_that_the_list_skipped_is_not_gone(world, client):
    run(client)
    row = lose(world, 4)
    world.singles[f"{MERGE_REQUESTS}/4"] = row
    run(client, thoroughness=SWEEP)
    assert gone() == set()


@pytest.mark.parametrize("status", [403, 500, 400])
def test_a_refusal_other_than_404_proves_nothing(world, client_of, status):
    run(client_of())
    lose(world, 4)
    hidden = f"/api/v4{MERGE_REQUESTS}/4"
    world.faults = lambda asked: Reply(status, b"{}") if asked.path == hidden else None
    try:
        run(client_of(patience_s=0.01), thoroughness=SWEEP)
    except GitlabUnavailable:
        assert status == 500
    assert gone() == set()


def test_pipelines_and_issues_are_swept_too(world, client):
    run(client)
    world.lists["/projects/7/pipelines"].clear()
    world.lists["/projects/7/issues"].clear()
    world.singles.pop("/projects/7/pipelines/5001", None)
    run(client, thoroughness=SWEEP)
    assert models.RawPipeline.objects.get().deleted_at is not None
    assert models.RawIssue.objects.get().deleted_at is not None


def test_what_is_gone_is_not_asked_for_any_more(world, client):
    run(client)
    lose(world, 5)
    run(client, thoroughness=SWEEP)
    world.asked.clear()
    run(client, thoroughness=SWEEP)
    assert gone() == {5}
    assert [asked.path for asked in world.asked if asked.path.endswith("/5")] == []


def test_a_part_that_was_closed_meanwhile_has_lost_nothing(world, client):
    run(client)
    lose(world, 4)

    def closed(asked):
        if asked.path == f"/api/v4{MERGE_REQUESTS}/4":  # asked for last, when its list was read
            world.lists.pop(MERGE_REQUESTS, None)
        return None

    world.faults = closed
    run(client, thoroughness=SWEEP)
    assert gone() == set()

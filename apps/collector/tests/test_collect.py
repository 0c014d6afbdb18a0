"""A whole project through every endpoint, against a server that has REST alone."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection

from apps.collector import models
from apps.collector.collect import collect
from apps.collector.errors import GitlabRefused, GitlabUnavailable, TokenRefused
from apps.collector.exclusions import coverage
from apps.collector.tests.builders import START, at, merge_request, project, small_world
from apps.collector.tests.server import NOW, Reply, answer
from apps.orgmap.models import Organisation
from apps.runs.ledger import Unrecorded

pytestmark = pytest.mark.django_db

RAW = (
    models.Project,
    models.User,
    models.Branch,
    models.RawMergeRequest,
    models.RawMergeRequestCommit,
    models.RawMergeRequestEvent,
    models.RawCommit,
    models.RawPipeline,
    models.RawJob,
    models.RawEnvironment,
    models.RawDeployment,
    models.RawTag,
    models.RawRelease,
    models.RawIssue,
    models.RawIssueEvent,
    models.RawPushEvent,
    models.RawBranchHead,
)


@pytest.fixture(autouse=True)
def org(db):
    Organisation.objects.get_or_create(name="Toman", defaults={"root_groups": ["toman"], "bots": []})


@pytest.fixture
def world(gitlab):
    project()
    return small_world(gitlab)


def versions() -> dict[str, list]:
    """Every row with its physical version: equal means that nothing was written."""
    found = {}
    with connection.cursor() as cursor:
        for model in RAW:
            cursor.execute(f"select xmin, ctid, * from {model._meta.db_table} order by ctid")
            found[model.__name__] = cursor.fetchall()
    return found


def contents() -> dict[str, list]:
    """Every row without what says when or in which order it was written."""
    return {
        model.__name__: sorted(
            repr(sorted((k, v) for k, v in row.items() if k not in ("id", "fetched_at", "observed_at")))
            for row in model.objects.values()
        )
        for model in RAW
    }


def run(client, **more):
    step = Unrecorded()
    collect(7, client=client, since=START, step=step, **more)
    return step


def test_one_of_everything_arrives(world, client):
    step = run(client)
    mr = models.RawMergeRequest.objects.get(iid=1)
    assert (mr.state, mr.changes_count, mr.gitlab_approvals_required) == ("merged", "1000+", None)
    assert mr.detail_at == mr.updated_at
    events = models.RawMergeRequestEvent.objects.filter(mr_id=mr.pk).values_list("event_key", "kind")
    assert set(events) == {("note:71", "note"), ("note:81", "approved"), ("approval:3", "approved")}
    assert list(models.RawJob.objects.order_by("job_id").values_list("job_id", "retried_flag")) == [
        (60, True),
        (61, False),
    ]
    assert models.RawPipeline.objects.get().duration_sec == 110
    deployment = models.RawDeployment.objects.get()
    assert (deployment.environment, deployment.pipeline_id) == ("production", 5001)
    assert deployment.finished_at.isoformat().startswith("2025-08-01T00:04")
    assert models.RawCommit.objects.get(commit_id="c2").parent_ids == ["c1"]
    assert models.RawBranchHead.objects.get().head_sha == "c2"
    assert set(models.User.objects.values_list("user_id", flat=True)) == {1, 2, 3}
    assert models.Project.objects.get().active_flag
    assert step.rows > 15
    assert step.requests == client.requests


def test_no_text_and_no_address_is_kept(world, client):
    world.lists["/projects/7/merge_requests"][0]["title"] = "Ask ann@example.org"
    run(client)
    everything = repr(contents())
    assert "secret words" not in everything
    assert "ann@example.org" not in everything
    assert models.RawMergeRequest.objects.get(iid=1).title == "Ask [e-mail]"


def test_a_second_collection_writes_nothing_and_asks_little(world, client):
    run(client)
    before, asked = versions(), client.requests
    step = run(client)
    assert versions() == before
    assert step.rows == 0
    assert client.requests - asked <= 15


def test_changed_parents_are_read_again_and_others_are_not(world, client):
    run(client)
    world.asked.clear()
    world.lists["/projects/7/merge_requests"][1] = merge_request(
        2, updated=60 * (24 * 35 + 12) - 5, title="New"
    )
    run(client)
    assert world.count("/merge_requests/2/") == 3
    assert world.count("/merge_requests/1/") == 0
    assert models.RawMergeRequest.objects.get(iid=2).title == "New"


def test_old_open_merge_requests_come_whatever_their_age(world, client):
    old = "2020-01-01T00:00:00.000Z"
    rows = world.lists["/projects/7/merge_requests"]
    rows.append({**merge_request(3), "created_at": old, "updated_at": old})
    rows.append({**merge_request(4), "created_at": old, "updated_at": old, "state": "closed"})
    run(client)
    assert set(models.RawMergeRequest.objects.values_list("iid", flat=True)) == {1, 2, 3}


def test_a_revoked_token_stops_everything(world, client):
    world.handlers["/projects/7/issues"] = lambda _: answer({"message": "401 Unauthorized"}, 401)
    with pytest.raises(TokenRefused):
        run(client)


def test_a_disabled_feature_leaves_the_rest_alone(world, client):
    world.handlers["/projects/7/issues"] = lambda _: answer({"message": "403 Forbidden"}, 403)
    run(client)
    state = models.IngestionState.objects.get(entity="issues")
    assert state.unavailable == "no_access"
    assert models.RawPipeline.objects.count() == 1


def test_a_feature_known_to_be_off_is_not_asked_for(world, client):
    models.Project.objects.update(issues_access_level="disabled")
    run(client)
    assert world.count("/issues") == 0
    assert models.IngestionState.objects.get(entity="issues").unavailable == "feature_disabled"


def test_a_forbidden_project_is_excluded_with_its_reason(gitlab, client):
    project(active_flag=True)
    with pytest.raises(GitlabRefused) as error:
        run(client)
    assert error.value.reason == "no_access"
    found = coverage(now=NOW)
    assert found.excluded == [("toman/core/api", "no_access")]
    assert (found.active, found.included, found.ratio) == (1, 0, 0.0)


def test_a_project_that_shows_its_page_but_no_list_is_excluded(gitlab, client):
    project(active_flag=True, merge_requests_access_level="enabled")
    gitlab.singles["/projects/7"] = {"id": 7}
    with pytest.raises(GitlabRefused):
        run(client)
    assert coverage(now=NOW).excluded == [("toman/core/api", "no_access")]


def test_a_project_that_opens_again_is_admitted(world, client):
    models.Exclusion.objects.create(project_id=7, reason="no_access", since=NOW)
    run(client)
    assert not models.Exclusion.objects.exists()
    assert coverage(now=NOW).ratio == 1.0


def test_bad_rows_are_quarantined_and_their_neighbours_stored(world, client):
    rows = world.lists["/projects/7/merge_requests"]
    rows += [
        {**merge_request(3, updated=12), "title": "a\x00b\ud800c", "state": "brand_new_state"},
        {**merge_request(4, updated=13), "created_at": None},
        {**merge_request(5, updated=14), "author": "nobody"},
        {**merge_request(6, updated=15), "merged_at": "99999-01-01T00:00:00Z"},
        {**merge_request(7, updated=16), "iid": 2**70},
    ]
    run(client)
    assert set(models.RawMergeRequest.objects.values_list("iid", flat=True)) == {1, 2, 3}
    odd = models.RawMergeRequest.objects.get(iid=3)
    assert (odd.title, odd.state) == ("ab?c", "brand_new_state")
    reasons = dict(models.Quarantine.objects.values_list("entity_id", "reason"))
    assert set(reasons) == {"1004", "1005", "1006", "1007"}
    assert reasons["1004"] == "created_at is missing"


def test_a_commit_with_an_unreadable_parent_stops_no_graph(world, client):
    commits = world.lists["/projects/7/repository/commits"]
    commits[0] = {**commits[0], "parent_ids": ["c\x001", *commits[0]["parent_ids"]]}
    run(client)
    assert models.RawCommit.objects.filter(commit_id__in=[one["id"] for one in commits[1:]]).exists()


def test_a_crash_between_pages_loses_nothing_and_moves_no_mark(world, client, client_of):
    calm = world.lists["/projects/7/merge_requests"]
    calm.extend(merge_request(number, updated=number) for number in range(3, 260))

    def break_down(asked):
        if asked.path.endswith("/merge_requests") and asked.query.get("updated_after", "") > at(50):
            return Reply(503, b"", {"Retry-After": "9999"})
        return None

    world.faults = break_down
    hasty = client_of(patience_s=0.1)
    with pytest.raises(GitlabUnavailable):
        run(hasty)
    mark = models.IngestionState.objects.get(entity="merge_requests")
    assert mark.last_seen_updated_at is None
    assert mark.cursor["bound"]
    assert 0 < models.RawMergeRequest.objects.count() < 259
    world.faults = lambda asked: None
    run(client)
    assert models.RawMergeRequest.objects.count() == 259
    mark.refresh_from_db()
    assert mark.last_seen_updated_at == NOW - dt.timedelta(minutes=10)
    assert mark.history_from == START


def test_a_backfill_that_goes_further_back_reads_again_from_there(world, client):
    run(client)
    old = "2025-06-01T00:00:00.000Z"
    world.lists["/projects/7/issues"].append(
        {
            **world.lists["/projects/7/issues"][0],
            "id": 1,
            "iid": 99,
            "state": "closed",
            "created_at": old,
            "updated_at": old,
        }
    )
    run(client)
    assert models.RawIssue.objects.count() == 1
    collect(7, client=client, since=START - dt.timedelta(days=90), step=Unrecorded())
    assert models.RawIssue.objects.count() == 2


def test_a_deleted_tag_is_gone(world, client):
    run(client)
    world.lists["/projects/7/repository/tags"][:] = []
    run(client)
    assert not models.RawTag.objects.exists()


def test_a_server_without_links_or_totals_is_read_to_the_end(world, client):
    world.has_links = False
    world.lists["/projects/7/repository/tags"] = [
        {"name": f"v1.0.{n}", "commit": {"id": "c1", "committed_date": at(1)}} for n in range(250)
    ]
    world.lists["/projects/7/merge_requests"].extend(merge_request(n, updated=n) for n in range(3, 230))
    run(client)
    assert models.RawTag.objects.count() == 250
    assert models.RawMergeRequest.objects.count() == 229


def test_a_commit_pushed_today_with_old_dates_is_found(world, client):
    run(client)
    commits = world.lists["/projects/7/repository/commits"]
    world.lists["/projects/7/repository/branches"][0]["commit"] = {"id": "c4"}
    commits.insert(0, {**commits[0], "id": "c4", "parent_ids": ["c2", "c3"]})
    commits.append({**commits[0], "id": "c3", "parent_ids": ["c1"], "committed_date": "2024-01-01T00:00:00Z"})
    run(client)
    assert set(models.RawCommit.objects.values_list("commit_id", flat=True)) == {"c1", "c2", "c3", "c4"}


def test_a_server_that_hides_the_projects_own_page_is_still_collected(world, client):
    del world.singles["/projects/7"]
    del world.lists["/projects/7/events"]
    run(client)
    assert models.RawMergeRequest.objects.count() == 2
    assert models.IngestionState.objects.get(entity="push_events").unavailable == "no_access"
    assert not models.Exclusion.objects.exists()


def test_a_project_that_closes_midway_is_excluded_and_keeps_what_it_has(world, client):
    def close(asked):
        if asked.path.endswith("/issues"):
            for known in (world.lists, world.singles):
                for path in [path for path in known if path.startswith("/projects/7")]:
                    del known[path]

    world.before_each = close
    with pytest.raises(GitlabRefused):
        run(client)
    assert models.Exclusion.objects.get().reason == "no_access"
    assert models.RawMergeRequest.objects.count() == 2


def test_an_entity_that_opens_again_is_no_longer_unavailable(world, client):
    events = world.lists.pop("/projects/7/events")
    run(client)
    assert models.IngestionState.objects.exclude(unavailable="").count() == 5
    world.lists["/projects/7/events"] = events
    run(client)
    assert models.IngestionState.objects.exclude(unavailable="").count() == 0


def test_a_server_that_takes_no_order_is_read_as_it_comes(world, client):
    page = world._page

    def strict(asked):
        wanted = {"page", "per_page", "source"}
        return (
            page(asked.path[7:], asked.query) if set(asked.query) <= wanted else answer({"error": "?"}, 400)
        )

    world.handlers["/projects/7/pipelines"] = strict
    run(client)
    assert models.RawPipeline.objects.count() == 1


def test_a_merge_request_deleted_before_its_details_is_not_asked_for_ever(world, client):
    for known in (world.lists, world.singles):
        for path in [path for path in known if path.startswith("/projects/7/merge_requests/1")]:
            del known[path]
    run(client)
    world.asked.clear()
    run(client)
    assert world.count("/merge_requests/1") == 0
    assert models.RawMergeRequest.objects.get(iid=2).changes_count == "1000+"


def test_an_empty_repository_has_issues_and_nothing_is_called_closed(world, client):
    models.Project.objects.update(empty_repo=True, default_branch=None)
    for path in [path for path in world.lists if "/repository/" in path]:
        del world.lists[path]
    run(client)
    assert models.RawIssue.objects.count() == 1
    assert not models.IngestionState.objects.exclude(unavailable="").exists()


def test_a_lost_claim_rolls_its_page_back(world, client):
    class Lost(Exception):
        pass

    class Zombie(Unrecorded):
        def save(self, **_):
            raise Lost

    with pytest.raises(Lost):
        collect(7, client=client, since=START, step=Zombie())
    assert not models.Branch.objects.exists()
    assert not models.IngestionState.objects.exists()


def test_a_short_history_asks_once_whether_there_was_life_before_it(world, client):
    world.lists["/projects/7/merge_requests"][:] = [
        {
            **merge_request(5),
            "state": "closed",
            "created_at": "2025-07-01T00:00:00Z",
            "updated_at": "2025-07-01T00:00:00Z",
        }
    ]
    run(client)
    assert not models.RawMergeRequest.objects.exists()
    assert models.Project.objects.get().active_flag

"""Which projects there are, which are left out, and why."""

from __future__ import annotations

from typing import Any

import pytest

from apps.collector import models
from apps.collector.discover import coverage, discover, projects_to_collect, remember_history
from apps.collector.errors import GitlabRefused, TokenRefused
from apps.collector.tests.builders import START, at
from apps.collector.tests.server import NOW, FakeGitlab, answer

pytestmark = pytest.mark.django_db
CORE, LINE = "/groups/toman%2Fcore/projects", "/groups/toman%2Fc-side/projects"
ROOTS = ["toman/core", "toman/c-side"]


def listed(number: int, path: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": path.rpartition("/")[2],
        "path_with_namespace": path,
        "namespace": {"kind": "group"},
        "default_branch": "main",
        "visibility": "private",
        "archived": False,
        "empty_repo": False,
        "issues_access_level": "enabled",
        "merge_requests_access_level": "enabled",
        "builds_access_level": "enabled",
        "repository_access_level": "enabled",
        "created_at": at(0),
        "last_activity_at": at(1),
        **more,
    }


@pytest.fixture
def world(gitlab: FakeGitlab) -> FakeGitlab:
    gitlab.singles["/version"] = {"version": "17.1.0-ee", "enterprise": True}
    gitlab.lists[CORE] = [listed(1, "toman/core/api"), listed(2, "toman/core/sub/web")]
    gitlab.lists[LINE] = [listed(3, "toman/c-side/app")]
    return gitlab


def find(client):
    discover(client=client, now=NOW, since=START, root_groups=ROOTS)


def reasons() -> dict[int, str]:
    return dict(models.Exclusion.objects.values_list("project_id", "reason"))


def test_projects_of_all_root_groups_are_found_and_shared_ones_not_asked_for(world, client):
    find(client)
    assert projects_to_collect() == [1, 2, 3]
    asked = next(one for one in world.asked if one.path.endswith("projects"))
    assert asked.query["with_shared"] == "false"
    assert asked.query["include_subgroups"] == "true"
    server = models.Server.objects.get()
    assert (server.version, server.enterprise, server.fields) == ("17.1.0-ee", True, {})


def test_a_second_discovery_writes_nothing(world, client):
    find(client)
    fetched = set(models.Project.objects.values_list("fetched_at", flat=True))
    discover(client=client, now=NOW.replace(hour=23), since=START, root_groups=ROOTS)
    assert set(models.Project.objects.values_list("fetched_at", flat=True)) == fetched


@pytest.mark.parametrize(
    ("traits", "reason"),
    [
        ({"marked_for_deletion_on": "2025-09-01"}, "pending_deletion"),
        ({"marked_for_deletion_at": "2025-09-01"}, "pending_deletion"),
        ({"namespace": {"kind": "user"}}, "out_of_scope"),
        ({"empty_repo": True, "issues_access_level": "disabled"}, "empty"),
        ({"empty_repo": True, "default_branch": None}, None),  # its issues count
        ({"archived": True}, None),  # collected to its last state
        ({"merge_requests_access_level": "disabled"}, None),  # only what needs them is unavailable
    ],
)
def test_each_kind_of_project_is_collected_or_left_out_with_its_reason(world, client, traits, reason):
    world.lists[CORE][0] |= traits
    find(client)
    assert reasons().get(1) == reason
    assert (1 in projects_to_collect()) is (reason is None)


def test_a_project_that_left_the_roots_is_out_of_scope_and_back_when_it_returns(world, client):
    find(client)
    gone = world.lists[CORE].pop(0)
    find(client)
    assert reasons() == {1: "out_of_scope"}
    assert projects_to_collect() == [2, 3]
    assert coverage(now=NOW).excluded == [("toman/core/api", "out_of_scope")]
    world.lists[LINE].append({**gone, "path_with_namespace": "toman/c-side/api"})
    find(client)
    assert reasons() == {}
    assert models.Project.objects.get(pk=1).path_with_namespace == "toman/c-side/api"
    assert projects_to_collect() == [1, 2, 3]


def test_older_servers_tell_features_by_booleans(world, client):
    row = world.lists[CORE][0]
    for name in ("issues_access_level", "merge_requests_access_level", "builds_access_level"):
        del row[name]
    row |= {"issues_enabled": False, "merge_requests_enabled": True, "jobs_enabled": False}
    find(client)
    project = models.Project.objects.get(pk=1)
    features = (project.issues_access_level, project.merge_requests_access_level, project.builds_access_level)
    assert features == ("disabled", "enabled", "disabled")


def test_a_root_group_that_refuses_leaves_its_projects_as_they_are(world, client):
    find(client)
    del world.lists[LINE]
    find(client)
    assert projects_to_collect() == [1, 2, 3]


def test_no_readable_root_group_is_said_by_name(gitlab, client):
    gitlab.singles["/version"] = {"version": "17"}
    with pytest.raises(GitlabRefused, match="toman/core, toman/c-side"):
        find(client)


def test_a_refused_token_ends_discovery(world, client):
    world.handlers[CORE] = lambda _: answer({"message": "401 Unauthorized"}, 401)
    with pytest.raises(TokenRefused):
        find(client)
    assert not models.Project.objects.exists()


def test_a_project_row_that_cannot_be_read_is_quarantined_and_not_thrown_out(world, client):
    find(client)
    world.lists[CORE][0]["path_with_namespace"] = None
    find(client)
    assert models.Quarantine.objects.get().entity_id == "1"
    assert 1 in projects_to_collect()


def test_history_only_grows(world, client):
    find(client)
    remember_history(START)
    remember_history(START.replace(month=9))
    assert models.Server.objects.get().history_since == START
    remember_history(START.replace(month=2))
    assert models.Server.objects.get().history_since == START.replace(month=2)


def test_coverage_counts_what_is_active_and_what_we_may_not_see(world, client):
    find(client)
    assert coverage(now=NOW).ratio is None
    models.Project.objects.filter(pk__in=[1, 2]).update(active_flag=True)
    assert coverage(now=NOW).ratio == 1.0
    models.Exclusion.objects.create(project_id=3, reason="no_access", since=NOW)
    models.Exclusion.objects.create(project_id=2, reason="failed", since=NOW)
    found = coverage(now=NOW)
    assert (found.active, found.included) == (3, 1)
    assert found.excluded == [("toman/c-side/app", "no_access"), ("toman/core/sub/web", "failed")]

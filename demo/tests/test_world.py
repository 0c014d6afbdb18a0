"""The world is the same however one gets to an instant, and full enough for every metric."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from demo.habits import LINES
from demo.render import Render, encode
from demo.times import DAY, HOUR, after_work, from_work, iso, iso_seconds, parse, to_work
from demo.world import World

SEMVER = re.compile(r"v?\d+\.\d+\.\d+(-rc\.1)?\Z")
START, NOW = parse("2026-04-01"), parse("2026-06-15T10:00:00Z")


def build(now: int = NOW, *, seed: int = 1, projects: int = 8, start: int = START) -> World:
    return World(seed=seed, projects=projects, start=start, now=now)


def small(now: int = NOW, *, seed: int = 1) -> World:
    """Where everything is looked at."""
    return build(now, seed=seed, projects=4, start=parse("2026-05-10"))


def picture(world: World) -> bytes:
    """Everything that the world shows."""
    show = Render(world, url="http://demo", premium=True)
    found = []
    for project in world.projects.values():
        found.append(show.project(project))
        found += [show.merge_request_detail(made) for made in project.merge_requests]
        found += [show.note(made, note) for made in project.merge_requests for note in made.notes]
        found += [show.version(made, version) for made in project.merge_requests for version in made.versions]
        found += [show.pipeline_detail(made) for made in project.pipelines]
        found += [show.job(job) for job in project.jobs + project.bridges]
        found += [show.deployment(made) for made in project.deployments]
        found += [show.issue(issue) for issue in project.issues]
        found += [show.event(project, event) for event in project.events]
        found += [show.tag(project, tag) for tag in project.tags.values()]
        found += [show.branch(project, name) for name in project.branches]
    return encode(found)


@pytest.fixture(scope="module")
def world() -> World:
    return build()


@pytest.fixture(scope="module")
def all_of_it() -> bytes:
    return picture(small())


def test_same_options_give_the_same_world(all_of_it: bytes) -> None:
    assert picture(small()) == all_of_it


def test_another_seed_gives_another_world(all_of_it: bytes) -> None:
    assert picture(small(seed=2)) != all_of_it


def test_moving_the_clock_equals_a_later_start(all_of_it: bytes) -> None:
    moved = small(NOW - 9 * DAY)
    for step in (HOUR, 3 * DAY, 17 * HOUR + 1, 0):
        moved.move_to(moved.now + step)
        picture(moved)  # looking must not change anything
    moved.move_to(NOW)
    assert picture(moved) == all_of_it


def test_nothing_is_younger_than_the_clock(world: World) -> None:
    late = iso(NOW + 1) or ""
    for project in world.projects.values():
        moments = [
            iso(one.updated) or "" for one in [*project.merge_requests, *project.pipelines, *project.issues]
        ]
        assert all(moment < late for moment in moments)


@pytest.mark.parametrize("line", LINES)
def test_every_business_line_has_all_that_is_measured(world: World, line: str) -> None:
    projects = [one for path, one in world.by_path.items() if path.startswith(f"toman/{line}/")]
    merge_requests = [made for one in projects for made in one.merge_requests]
    merged = [made for made in merge_requests if made.merged]
    pipelines = [made for one in projects for made in one.pipelines]
    jobs = [job for one in projects for job in one.jobs]
    deployments = [made for one in projects for made in one.deployments]
    issues = [issue for one in projects for issue in one.issues]
    labels = {label for issue in issues for label in issue.labels}
    shipped = [
        made for made in deployments if made.environment.tier == "production" and made.status == "success"
    ]
    events = [event for one in projects for event in one.events]
    assert {made.state for made in merge_requests} == {"opened", "closed", "merged"}
    assert any(made.required > len(made.approvals) for made in merged)
    assert any(made.deployed and made.closes for made in merged)
    assert any(len(made.versions) > 2 for made in merged)
    assert {"success", "failed", "canceled"} <= {made.status for made in pipelines}
    assert {"push", "merge_request_event"} <= {made.source for made in pipelines}
    assert any(job.retried for job in jobs)
    assert len({made.sha for made in shipped}) < len(shipped), "no rollback"
    assert any(one.tags for one in projects)
    assert {"SLA::24h", "SLA::7d"} <= labels and labels & {"bug", "type::bug"}
    assert any(state.state == "reopened" for issue in issues for state in issue.states)
    assert any(commit.signature for one in projects for commit in one.commits.values())
    assert {"created", "removed", "pushed"} <= {event.push["action"] for event in events if event.push}


def test_the_four_manners_of_merging_are_there(world: World) -> None:
    merged = [made for one in world.projects.values() for made in one.merge_requests if made.merged]
    assert any(made.merge_commit_sha and not made.squash_commit_sha for made in merged)
    assert any(made.squash_commit_sha for made in merged)
    full = World(seed=1, projects=16, start=NOW - 20 * DAY, now=NOW)
    forward = [made for one in full.projects.values() for made in one.merge_requests if made.merged]
    assert any(made.merge_commit_sha is None and made.squash_commit_sha is None for made in forward)
    assert any(
        "This reverts commit" in commit.message
        for one in world.projects.values()
        for commit in one.commits.values()
    )


def test_late_and_odd_things_happen(world: World) -> None:
    projects = world.projects.values()
    merge_requests = [made for one in projects for made in one.merge_requests]
    issues = [issue for one in projects for issue in one.issues]
    pipelines = [made for one in projects for made in one.pipelines]
    assert any(made.finished and made.finished - made.created > 7 * DAY for made in pipelines), "late retry"
    assert any(made.status == "success" and any(job.retried for job in made.jobs) for made in pipelines)
    assert any(made.merged and at > made.merged for made in merge_requests for _, at in made.approvals)
    assert any(made.state == "closed" and not made.commits for made in merge_requests), "branch was reset"
    assert any(made.merged and made.commits[0].authored > made.merged for made in merge_requests)
    assert any(made.source_project_id is None for made in merge_requests), "fork is gone"
    assert {"issue", "incident", "task"} == {issue.type for issue in issues}
    assert any(issue.moved_to for issue in issues)
    together = Counter((made.project.id, made.updated) for made in merge_requests)
    assert max(together.values()) > 20, "a label put on everything at once"


def test_activity_moves_by_people_and_at_most_once_an_hour() -> None:
    later, held, sunday = 0, 0, build(NOW - DAY)
    for project in [one for one in sunday.projects.values() if one.events and one.merge_requests]:
        spoken = [note.at for made in project.merge_requests for note in made.notes if note.action is None]
        last = max([event.at for event in project.events] + spoken)
        assert 0 <= last - project.activity < HOUR, project.path
        held += last > project.activity
        later += any(made.updated > project.activity + HOUR for made in project.pipelines)
    assert held, "within the hour it stays"
    assert later, "pipelines do not move it"


def test_only_some_machines_say_that_they_are(world: World) -> None:
    people = world.people
    assert people.renovate.bot and not people.merge_bot.bot and people.merge_bot.name == "Merge Bot"
    projects_bots = [user for user in people.everyone.values() if user.username.startswith("project_")]
    assert projects_bots and all(user.bot for user in projects_bots)


def test_tags_are_semver_with_and_without_a_letter_or_none(world: World) -> None:
    tags = [name for one in world.projects.values() for name in one.tags]
    kinds = {"v" * name.startswith("v") + "semver" * bool(SEMVER.match(name)) for name in tags}
    assert {"vsemver", "semver", ""} <= kinds


def test_some_lists_are_longer_than_a_page(world: World) -> None:
    merge_requests = [made for one in world.projects.values() for made in one.merge_requests]
    assert any(len(made.commits) > 100 and len(made.notes) > 100 for made in merge_requests)
    assert any(len(made.jobs) > 100 for one in world.projects.values() for made in one.pipelines)


def test_working_time_stands_still_at_night_and_on_weekends() -> None:
    friday, monday = parse("2026-06-12T15:59:00Z"), parse("2026-06-15T06:31:00Z")
    assert to_work(monday) - to_work(friday) == 2 * 60_000
    assert iso(after_work(friday, 1 / 30)) == "2026-06-15T06:31:00.000Z"
    assert to_work(from_work(to_work(monday))) == to_work(monday)


def test_rest_gives_milliseconds_and_graphql_seconds() -> None:
    moment = parse("2026-06-15T06:31:07.089Z")
    assert (iso(moment), iso_seconds(moment)) == ("2026-06-15T06:31:07.089Z", "2026-06-15T06:31:07Z")

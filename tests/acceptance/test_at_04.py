"""AT-04: a direct push to the default branch is counted on its date."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser

from apps.metrics.models import MetricDaily
from tem import clock
from tests.acceptance.conftest import Published
from tests.acceptance.plain_gitlab import TOKEN, World, serving
from tests.acceptance.running import run_through
from tests.runs.gate import a_world

BOTS = {"renovate-bot", "merge-bot", "Merge Bot"}


def direct(published: Published, repo: str) -> set[str]:
    """Commits of the default branch that came by no merge request and merge nothing."""
    gitlab, project = published.gitlab, f"/projects/{repo.replace('/', '%2F')}"
    about = gitlab.one(project)
    if about["empty_repo"] or about["merge_requests_access_level"] == "disabled":
        return set()
    by_review: set[str | None] = set()
    for one in gitlab.every(f"{project}/merge_requests", state="merged", scope="all"):
        by_review |= {one["sha"], one["merge_commit_sha"], one["squash_commit_sha"]}
        by_review |= {made["id"] for made in gitlab.every(f"{project}/merge_requests/{one['iid']}/commits")}
    return {
        made["id"]
        for made in gitlab.every(f"{project}/repository/commits", ref_name=about["default_branch"])
        if len(made["parent_ids"]) < 2 and made["author_name"] not in BOTS and made["id"] not in by_review
    }


@pytest.mark.xdist_group("acceptance company")
def test_direct_pushes_stand_on_the_days_on_which_gitlab_has_them(published: Published) -> None:
    ours = {one["id"]: (one["project"], day) for day, rows in published.direct_pushes.items() for one in rows}
    theirs: dict[str, tuple[str, dt.date]] = {}
    for repo in published.repos:
        for sha in direct(published, repo):
            made = published.gitlab.one(f"/projects/{repo.replace('/', '%2F')}/repository/commits/{sha}")
            day = clock.day_of(dt.datetime.fromisoformat(made["committed_date"]))
            if day in published.direct_pushes:
                theirs[sha] = (repo, day)
    assert ours == theirs
    assert len(theirs) > 5
    on_the_day = Counter(day for _, day in theirs.values())[published.day]
    org = next(one for one in published.file["summaries"] if one["scope"] == "org")
    assert org["metrics"]["direct_pushes_default"] == on_the_day


ENGINE = "/projects/101/repository"


def commit(sha: str, *parents: str, at: dt.datetime) -> dict[str, Any]:
    moment = at.isoformat()
    return {
        "id": sha, "parent_ids": list(parents), "author_name": "Ann", "author_email": "ann@example.org",
        "authored_date": moment, "committed_date": moment, "created_at": moment, "message": "Work",
        "stats": {"additions": 1, "deletions": 0, "total": 1},
    }  # fmt: skip


def push(world: World, made: dict[str, Any]) -> None:
    """The commit is the head of main from now on."""
    world[f"{ENGINE}/commits"] = [made, *world.get(f"{ENGINE}/commits", [])]
    main = {"name": "main", "default": True, "protected": True, "commit": {"id": made["id"]}}
    world[f"{ENGINE}/branches"] = [main]


@pytest.fixture
def plain(settings: Any) -> Iterator[World]:
    yesterday = clock.day_of(clock.now()) - dt.timedelta(days=1)
    world = a_world(clock.midnight(yesterday))
    push(world, commit("a" * 40, at=clock.midnight(yesterday) - dt.timedelta(hours=12)))
    with serving(world) as address:
        settings.GITLAB_URL, settings.GITLAB_TOKEN = address, TOKEN
        yield world


@pytest.mark.django_db
def test_one_more_push_makes_one_more_on_that_day_alone(house: Browser, plain: World) -> None:
    run_through("backfill", days=3)
    before = counted()
    yesterday = clock.day_of(clock.now()) - dt.timedelta(days=1)
    push(plain, commit("d" * 40, "a" * 40, at=clock.midnight(yesterday) + dt.timedelta(hours=12)))
    run_through("nightly")
    assert counted() == {**before, yesterday: before[yesterday] + 1}
    assert before[yesterday - dt.timedelta(days=1)] == 1


def counted() -> dict[dt.date, int]:
    """Day -> direct pushes to the engine's default branch."""
    found = MetricDaily.objects.filter(
        metric="direct_pushes_default", scope__key="repo:toman/exchange/trading/engine"
    )
    return {day: int(value) for day, value in found.values_list("day", "value") if value is not None}

"""AT-07: coverage is at least 95 % of the active projects, and whoever is left out is listed with a reason.

Through whole runs over HTTP, and read where people read it: on `/status` and in the day's file.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser

from apps.collector.models import Exclusion, Project
from tem import clock
from tests.acceptance.demo_gitlab import DEMO_TOKEN, Demo
from tests.acceptance.plain_gitlab import TOKEN, World, serving
from tests.acceptance.running import run_through
from tests.runs.gate import a_world

pytestmark = pytest.mark.django_db
REASONS = {
    "archived", "empty", "no_access", "pending_deletion", "merge_requests_disabled", "out_of_scope", "failed",
    "quarantined",
}  # fmt: skip
"""The closed list, as the interface has it."""


def status(browser: Browser) -> dict[str, Any]:
    return browser.get("/status").json()["coverage"]


def file_of_yesterday(browser: Browser) -> dict[str, Any]:
    day = clock.day_of(clock.now()) - dt.timedelta(days=1)
    answer = browser.get(f"/exports/daily/{day}.json")
    assert answer.status_code == 200
    return json.loads(b"".join(answer) if answer.streaming else answer.content)


def left_out(told: dict[str, Any]) -> dict[str, str]:
    """Path -> reason, of a file's coverage or of the one on `/status`."""
    rows = told["excluded_projects"] if "excluded_projects" in told else told["excluded"]
    assert {row["reason"] for row in rows} <= REASONS
    return {row["repo"]: row["reason"] for row in rows}


def test_the_closed_list_is_the_one_that_was_promised() -> None:
    assert set(Exclusion.Reason.values) == REASONS


# --- the demo: a company with everything that projects go through ----------------------------------


@pytest.fixture
def demo(settings) -> Iterator[Demo]:
    with Demo("--projects", "20", "--days", "22", "--pace", "0.1") as gitlab:
        settings.GITLAB_URL, settings.GITLAB_TOKEN = gitlab.url, DEMO_TOKEN
        yield gitlab


def test_a_whole_company_is_covered_and_the_rest_is_named(house: Browser, demo: Demo) -> None:
    demo.forbid(demo.number_of("toman/exchange/custody/vault"))
    run_through("backfill", days=3)
    told, written = status(house), file_of_yesterday(house)
    assert (told["included"], told["active"]) == (19, 20)
    assert told["ratio"] >= 0.95
    assert written["coverage"] == {
        "ratio": told["ratio"],
        "active": told["active"],
        "included": told["included"],
        "excluded": told["excluded_projects"],
    }
    assert left_out(told) == {
        "toman/exchange/custody/sunset": "pending_deletion",
        "toman/exchange/custody/vault": "no_access",
    }
    seen = {one["repo"] for one in written["summaries"] if one["scope"] == "repo"}
    assert "toman/core/sre/runbooks" in seen  # merge requests are off, all else is collected
    assert "toman/core/platform/old-gateway" in seen  # archived, and read to its last state
    assert not [path for path in seen if not path.startswith("toman/")]  # a fork of somebody's, a guest

    demo.forbid()
    run_through("incremental")
    assert status(house)["ratio"] == 1
    assert left_out(status(house)) == {
        "toman/exchange/custody/sunset": "pending_deletion",
        "toman/core/platform/old-gateway": "archived",
    }


# --- a plain GitLab, in which projects are what we say ---------------------------------------------


FEATURES = [f"{name}_access_level" for name in ("repository", "merge_requests", "issues", "builds")]


def listed(world: World, number: int, path: str, *, readable: bool = True, **more: Any) -> None:
    """One more project of the group `toman/core`; what is not `readable` is listed all the same."""
    shown = {
        **world["/groups/toman/core/projects"][0],
        "id": number,
        "path_with_namespace": path,
        "namespace": {"kind": "group"},
        **more,
    }
    world["/groups/toman/core/projects"].append(shown)
    if readable:
        world[f"/projects/{number}"] = shown


@pytest.fixture
def plain(settings) -> Iterator[World]:
    """Two active projects and a quiet one, and beside them one of every kind."""
    world = a_world(clock.midnight(clock.day_of(clock.now()) - dt.timedelta(days=1)))
    listed(world, 201, "toman/core/blank", empty_repo=True, issues_access_level="disabled")
    listed(world, 202, "toman/core/leaving", marked_for_deletion_on="2099-01-01")
    listed(world, 203, "ann/toy", namespace={"kind": "user"})
    listed(world, 204, "toman/core/vault", readable=False)
    listed(world, 205, "toman/core/old", archived=True, **dict.fromkeys(FEATURES, "disabled"))
    world |= {"/projects/205/environments": [], "/projects/205/deployments": []}
    listed(world, 206, "toman/core/copy", forked_from_project={"id": 101})
    listed(world, 207, "toman/core/docs", merge_requests_access_level="disabled")
    with serving(world) as address:
        settings.GITLAB_URL, settings.GITLAB_TOKEN = address, TOKEN
        yield world


NEVER_COLLECTED = {
    "toman/core/blank": "empty",
    "toman/core/leaving": "pending_deletion",
    "ann/toy": "out_of_scope",
    "toman/core/vault": "no_access",
}


def test_whoever_is_left_out_is_listed_with_the_reason(house: Browser, plain: World) -> None:
    run_through("backfill", days=2)
    told = status(house)
    assert left_out(told) == NEVER_COLLECTED
    assert left_out(file_of_yesterday(house)["coverage"]) == NEVER_COLLECTED
    # The closed one may well be active, so it counts as such: what we may not see is no excuse.
    assert (told["included"], told["active"], told["ratio"]) == (2, 3, 0.6667)
    assert Browser().get("/status").json()["coverage"]["excluded"] == dict.fromkeys(
        REASONS & set(NEVER_COLLECTED.values()), 1
    )
    assert "vault" not in Browser().get("/status").content.decode()  # names are for staff


def test_the_list_follows_what_becomes_of_the_projects(house: Browser, plain: World) -> None:
    run_through("backfill", days=2)
    plain["/groups/toman/c-side/projects"].clear()  # the shop moved away
    plain["/groups/toman/exchange/projects"][0]["path_with_namespace"] = "toman/exchange/trading/motor"
    vault = plain["/groups/toman/core/projects"][4]
    plain["/projects/204"] = vault  # somebody let us in
    run_through("incremental")
    assert left_out(status(house)) == {
        "toman/core/blank": "empty",
        "toman/core/leaving": "pending_deletion",
        "ann/toy": "out_of_scope",
        "toman/c-side/app/shop": "out_of_scope",
        "toman/core/old": "archived",
    }
    assert status(house)["ratio"] == 1
    assert Project.objects.get(pk=101).path_with_namespace == "toman/exchange/trading/motor"

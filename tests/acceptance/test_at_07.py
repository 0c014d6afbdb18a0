"""AT-07: coverage is at least 95 % of the active projects, and whoever is left out is listed with a reason.

Through whole runs over HTTP, and read where people read it: on `/status` and in the day's file.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as tem
from django.test import Client as Browser

from apps.collector.models import Exclusion, Project
from apps.orgmap.import_org import seed_if_empty
from apps.runs.models import Run
from tem import clock, pipeline
from tem.celery import app
from tests.acceptance.plain_gitlab import TOKEN, World, serving
from tests.acceptance.small_world import ORG_FILE
from tests.runs.gate import a_world, drain

DEMO_TOKEN = "demo-token"
pytestmark = pytest.mark.django_db
REASONS = {
    "archived", "empty", "no_access", "pending_deletion", "merge_requests_disabled", "out_of_scope", "failed",
    "quarantined",
}  # fmt: skip
"""The closed list, as the interface has it."""


@pytest.fixture
def house(settings, tmp_path: Path, admin_client: Browser) -> Iterator[Browser]:
    """An org tree, an export directory and queues of our own; answers the browser of one of the staff."""
    options = dict(app.conf.broker_transport_options)
    app.conf.broker_transport_options = {**options, "global_keyprefix": f"test-{uuid.uuid4().hex[:8]}:"}
    app._after_fork()
    org_file = tmp_path / "org.yaml"
    org_file.write_text(ORG_FILE, encoding="utf-8")
    seed_if_empty(str(org_file), now=clock.now())
    settings.TEM_EXPORT_DIR = tmp_path / "exports"
    yield admin_client
    app.conf.broker_transport_options = options
    app._after_fork()


def run(kind: str, **asked: Any) -> Run:
    slot = f"{kind} {Run.objects.count()}"
    done = drain(pipeline.start(kind, slot=slot, now=clock.now(), **asked))
    assert done.state in ("done", "partial"), done.reason
    return done


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


class Demo:
    """The made-up GitLab, in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "demo", "--projects", "20", "--days", "22", "--pace", "0.1"]
        self.process = subprocess.Popen(command, cwd=tem.BASE_DIR, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        self.url = line.rpartition(" ")[2].strip()

    def number_of(self, path: str) -> int:
        return json.loads(self._ask(f"/api/v4/projects/{path.replace('/', '%2F')}"))["id"]

    def forbid(self, *projects: int) -> None:
        self._ask("/-/demo/faults", json.dumps({"forbid_project": list(projects)}).encode())

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(self.url.rpartition("/")[2], timeout=10)
        connection.request("GET" if body is None else "POST", path, body, {"PRIVATE-TOKEN": DEMO_TOKEN})
        told = connection.getresponse().read()
        connection.close()
        return told

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


@pytest.fixture
def demo(settings) -> Iterator[Demo]:
    gitlab = Demo()
    settings.GITLAB_URL, settings.GITLAB_TOKEN = gitlab.url, DEMO_TOKEN
    yield gitlab
    gitlab.stop()


def test_a_whole_company_is_covered_and_the_rest_is_named(house: Browser, demo: Demo) -> None:
    demo.forbid(demo.number_of("toman/exchange/custody/vault"))
    run("backfill", days=3)
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
    run("incremental")
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
    run("backfill", days=2)
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
    run("backfill", days=2)
    plain["/groups/toman/c-side/projects"].clear()  # the shop moved away
    plain["/groups/toman/exchange/projects"][0]["path_with_namespace"] = "toman/exchange/trading/motor"
    vault = plain["/groups/toman/core/projects"][4]
    plain["/projects/204"] = vault  # somebody let us in
    run("incremental")
    assert left_out(status(house)) == {
        "toman/core/blank": "empty",
        "toman/core/leaving": "pending_deletion",
        "ann/toy": "out_of_scope",
        "toman/c-side/app/shop": "out_of_scope",
        "toman/core/old": "archived",
    }
    assert status(house)["ratio"] == 1
    assert Project.objects.get(pk=101).path_with_namespace == "toman/exchange/trading/motor"

"""From a GitLab that is not the demo to the files people read, through the public commands alone."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tem import clock
from tests.acceptance.plain_gitlab import TOKEN, serving
from tests.acceptance.small_world import EXPECTED, ORG_FILE, small_world

pytestmark = pytest.mark.xdist_group("plain gitlab")  # one run, whichever files are looked at
KEPT = ("PATH", "HOME", "LANG", "PIP_CERT", "SSL_CERT_FILE")


def run_once(
    home: Path, *, gitlab: str, token: str = TOKEN, days: int = 40
) -> subprocess.CompletedProcess[str]:
    """One backfill as its operator starts it, in a home of its own."""
    org_file = home.parent / "org.yaml"
    org_file.write_text(ORG_FILE, encoding="utf-8")
    variables = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "TEM_HOME": str(home),
        "TEM_EXPORT_DIR": str(home / "files"),
        "TEM_ORG_FILE": str(org_file),
        "GITLAB_API_URL": gitlab,
        "GITLAB_API_TOKEN": token,
    }
    command = [sys.executable, "-m", "tem.stack", "once", "backfill", "--days", str(days)]
    return subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env=variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dt.date]:
    """The export directory after a backfill of the small world, and the day before."""
    yesterday = clock.day_of(clock.now()) - dt.timedelta(days=1)
    home = tmp_path_factory.mktemp("plain") / "home"
    with serving(small_world(clock.midnight(yesterday))) as address:
        ended = run_once(home, gitlab=address + "/api/v4/")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return home / "files" / "daily", yesterday


def summary(day_file: dict[str, Any], scope: str) -> dict[str, Any]:
    """The summary of a scope written as in addresses: org, team:NAME, repo:PATH."""
    kind, _, name = scope.partition(":")
    found = [s for s in day_file["summaries"] if s["scope"] == kind and (kind == "org" or s[kind] == name)]
    assert len(found) == 1, (scope, [(s["scope"], s["team"], s["repo"]) for s in day_file["summaries"]])
    return found[0]


@pytest.mark.parametrize("scope", EXPECTED)
def test_the_files_say_what_was_worked_out_by_hand(files: tuple[Path, dt.date], scope: str) -> None:
    daily, day = files
    told = summary(json.loads((daily / f"{day}.json").read_text()), scope)
    found = {key: (told["metrics"][key], told["n"][key]) for key in EXPECTED[scope]}
    assert found == EXPECTED[scope]


def test_the_csv_says_the_same_as_the_json(files: tuple[Path, dt.date]) -> None:
    daily, day = files
    told = json.loads((daily / f"{day}.json").read_text())
    with (daily / f"{day}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["date"] == day.isoformat()]
    in_csv = {
        (row["scope"], row["business_line"], row["team"], row["repo"], row["metric"]): row["value"]
        for row in rows
    }
    in_json = {
        (s["scope"], s["business_line"] or "", s["team"] or "", s["repo"] or "", key): value
        for s in told["summaries"]
        for key, value in s["metrics"].items()
    }
    assert in_csv.keys() == in_json.keys()
    assert {key: float(value) if value else None for key, value in in_csv.items()} == in_json


def test_every_day_of_the_history_has_its_files(files: tuple[Path, dt.date]) -> None:
    daily, day = files
    days = clock.days_between(day - dt.timedelta(days=39), day)
    assert {p.name for p in daily.iterdir() if p.is_file()} == {
        f"{d}.{ext}" for d in days for ext in ("json", "csv")
    }


@pytest.mark.parametrize(
    ("gitlab", "token", "says"),
    [
        ("served", "wrong-token", "GITLAB_API_TOKEN"),
        ("http://127.0.0.1:9", TOKEN, "GITLAB_API_URL"),
        ("not an address", TOKEN, "GITLAB_API_URL"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_written(
    tmp_path: Path, gitlab: str, token: str, says: str
) -> None:
    with serving({"/groups/toman/core/projects": []}) as address:
        ended = run_once(tmp_path / "home", gitlab=address if gitlab == "served" else gitlab, token=token)
    told = ended.stdout + ended.stderr
    assert ended.returncode in (1, 2)
    assert says in told
    assert token not in told
    assert "Traceback" not in told

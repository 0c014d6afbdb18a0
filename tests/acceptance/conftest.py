"""A house to run in, and one company whose numbers the acceptance tests hold against its GitLab."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client as Browser
from django.test import override_settings

from apps.metrics.models import DimRelease
from tem import clock
from tests.acceptance.demo_gitlab import DEMO_TOKEN, Demo
from tests.acceptance.running import an_org_tree, queues_of_our_own, run_through

HISTORY_DAYS = 36


@pytest.fixture
def house(settings: Any, tmp_path: Path, admin_client: Browser) -> Iterator[Browser]:
    """An org tree, an export directory and queues of our own; answers the browser of one of the staff."""
    an_org_tree(tmp_path)
    settings.TEM_EXPORT_DIR = tmp_path / "exports"
    with queues_of_our_own():
        yield admin_client


@dataclass(frozen=True)
class Published:
    """What TEM said of the company on a day, and the GitLab that it said it of."""

    gitlab: Demo
    day: dt.date
    file: dict[str, Any]
    evidence: dict[tuple[str, str], dict[str, Any]]
    direct_pushes: dict[dt.date, list[dict[str, Any]]]
    releases: dict[str, dict[str, bool]]

    @property
    def repos(self) -> list[str]:
        return [one["repo"] for one in self.file["summaries"] if one["scope"] == "repo"]

    def value(self, repo: str, metric: str) -> tuple[float | None, int]:
        """The published value and its sample size."""
        found = next(one for one in self.file["summaries"] if one["repo"] == repo)
        return found["metrics"][metric], found["n"][metric]

    def month(self) -> tuple[dt.datetime, dt.datetime]:
        """The thirty local days that end with the day, as instants."""
        return clock.midnight(self.day - dt.timedelta(days=29)), clock.midnight(
            self.day + dt.timedelta(days=1)
        )


EXPLAINED = ("pipeline_success_rate", "mr_cycle_time_p50_h", "mean_time_to_green_h")


@pytest.fixture(scope="session")
def published(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """One backfill of a small company, read where people read it: the day's file and `explain`."""
    folder = tmp_path_factory.mktemp("acceptance")
    day = clock.day_of(clock.now()) - dt.timedelta(days=1)
    with Demo("--projects", "6", "--days", str(HISTORY_DAYS + 4), "--pace", "0.5") as gitlab:
        ours = {"GITLAB_URL": gitlab.url, "GITLAB_TOKEN": DEMO_TOKEN, "TEM_EXPORT_DIR": folder / "exports"}
        with (
            override_settings(**ours), queues_of_our_own(), django_db_blocker.unblock(), transaction.atomic()
        ):  # fmt: skip
            an_org_tree(folder)
            run_through("backfill", days=HISTORY_DAYS)
            found = _read(gitlab, day, folder)
            transaction.set_rollback(True)
        yield found


def _read(gitlab: Demo, day: dt.date, folder: Path) -> Published:
    file = json.loads((folder / "exports" / "daily" / f"{day}.json").read_text(encoding="utf-8"))
    repos = [one["repo"] for one in file["summaries"] if one["scope"] == "repo"]
    days = [day - dt.timedelta(days=back) for back in range(30)]
    releases = DimRelease.objects.values_list("project__path_with_namespace", "tag_name", "semver_valid")
    return Published(
        gitlab=gitlab,
        day=day,
        file=file,
        evidence={(key, repo): explained(key, f"repo:{repo}", day) for key in EXPLAINED for repo in repos},
        direct_pushes={one: explained("direct_pushes_default", "org", one)["entities"] for one in days},
        releases={repo: {tag: valid for path, tag, valid in releases if path == repo} for repo in repos},
    )


def explained(metric: str, scope: str, day: dt.date) -> dict[str, Any]:
    """What the command prints."""
    out = io.StringIO()
    call_command("explain", metric, scope, day.isoformat(), "--format", "json", stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told

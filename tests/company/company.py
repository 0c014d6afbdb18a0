"""The demo company's GitLab as a process, and our whole collection of it in this process."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from apps.collector import models, people
from apps.collector.client import Client
from apps.collector.collect import PLAIN, Thoroughness, collect
from apps.collector.discover import discover, projects_to_collect
from apps.collector.errors import GitlabRefused, GitlabUnavailable
from apps.collector.exclusions import exclude
from apps.collector.sweep import sweep
from apps.runs.ledger import Unrecorded

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "glpat-canary-7f3a"
GROUPS = ["toman/core", "toman/corporate-services", "toman/exchange", "toman/c-side"]
UNTIL, SINCE = dt.datetime(2026, 6, 12, 10, tzinfo=dt.UTC), dt.datetime(2026, 5, 20, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)

CONTENT = (
    models.Project, models.User, models.Branch, models.ProtectedBranch,
    models.RawMergeRequest, models.RawMergeRequestCommit,
    models.RawMergeRequestEvent, models.RawMergeRequestVersion, models.RawMergeRequestIssue, models.RawCommit,
    models.RawPipeline, models.RawJob, models.RawEnvironment, models.RawDeployment, models.RawTag,
    models.RawRelease, models.RawIssue, models.RawIssueEvent, models.RawPushEvent,
)  # fmt: skip
NO_CONTENT = {"id", "fetched_at", "compared_at", "versions_at", "settled_at"}  # when and in what order


@dataclass
class Company:
    """A running demo GitLab. `url` may lead through a proxy."""

    url: str
    door: str

    def ask(self, door: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One of the demo's own doors; with a body it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.door}/-/demo/{door}", data, timeout=60) as answer:  # noqa: S310  # ours
            found: dict[str, Any] = json.load(answer)
            return found

    def later(self, span: dt.timedelta) -> None:
        """Let the company work on."""
        self.ask("clock", {"advance_seconds": span.total_seconds()})

    def counts(self) -> dict[str, int]:
        """Requests by route since this was last asked."""
        found = self.ask("stats")
        self.ask("reset-stats", {})
        return found

    def client(self, **options: Any) -> Client:
        return Client(**{"url": self.url, "token": TOKEN, "first_wait_s": 0.001, **options})


@contextmanager
def company(
    *, projects: int = 4, until: dt.datetime = UNTIL, days: int = 20, mixed: bool = True, **more: Any
) -> Iterator[Company]:
    """A demo GitLab whose history begins `days` before `until`, in which people work in all manners."""
    command = [
        sys.executable,
        "-m",
        "demo",
        "--token",
        TOKEN,
        "--projects",
        str(projects),
        "--days",
        str(days),
    ]
    command += [
        "--until",
        until.isoformat(),
        *(part for name, value in more.items() for part in (name, value)),
    ]
    command += ["--mixed"] if mixed else []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rpartition(" ")[2].strip()
            yield Company(url, url)
        finally:
            process.kill()


def collect_all(
    client: Client, *, how: Thoroughness = PLAIN, since: dt.datetime = SINCE, sweeps: bool = False
) -> dict[int, str]:
    """A whole collection, as a run's phases do it; answers the projects left out and why."""
    step = Unrecorded()
    discover(client=client, now=client.server_time, since=since, root_groups=GROUPS)
    if sweeps:
        fresh = sweep(client=client, root_groups=GROUPS, step=step, reread=how.reread, again=how.again)
        how = Thoroughness(fresh=fresh, reread=how.reread, again=how.again, sweep=how.sweep)
    lost: dict[int, str] = {}
    for project in projects_to_collect():
        reason = _until_done(project, client=client, since=since, step=step, how=how)
        if reason:
            lost[project] = reason
    for project in people.projects_to_link():
        with transaction.atomic():
            people.link_by_address(project)
    return lost


def _until_done(project: int, *, client: Client, since: dt.datetime, step: Any, how: Thoroughness) -> str:
    """As the ledger does: wait, then call again; five fruitless attempts leave it out."""
    for _ in range(200):
        try:
            collect(project, client=client, since=since, step=step, thoroughness=how)
        except GitlabRefused as refusal:
            return refusal.reason
        except GitlabUnavailable:
            continue
        return ""
    exclude(project, reason="failed", detail="it never got through", now=client.server_time)
    return "failed"


def content(*, without: set[str] = frozenset()) -> dict[str, set[str]]:
    """Every row that still exists in GitLab, without what says when or in which order it was written."""
    found: dict[str, set[str]] = {}
    for model in CONTENT:
        rows = model.objects.all()
        if issubclass(model, models.Removable):
            rows = rows.filter(deleted_at__isnull=True)
        found[model.__name__] = {
            repr(sorted((k, v) for k, v in row.items() if k not in NO_CONTENT | without))
            for row in rows.values()
        }
    return found


def differences(one: dict[str, set[str]], other: dict[str, set[str]]) -> list[str]:
    """What stands in one only, as lines that a person can read; empty where both are equal."""
    lines: list[str] = []
    for name, rows in one.items():
        lines += [f"{name} only here: {row}" for row in sorted(rows - other[name])]
        lines += [f"{name} only there: {row}" for row in sorted(other[name] - rows)]
    return lines


def forget() -> None:
    """An empty database."""
    names = [model._meta.db_table for model in (*CONTENT, models.RawBranchHead, models.IngestionState)]
    names += [model._meta.db_table for model in (models.Exclusion, models.Quarantine, models.Server)]
    with connection.cursor() as cursor:
        cursor.execute(f"truncate {', '.join(names)}")

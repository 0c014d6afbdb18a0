"""What real GitLabs answered, through each endpoint's own mapping into PostgreSQL, and read back.

The recordings lie beside the checkout (`../shared/gitlab/recorded`) and are not ours to commit; where they
are absent the scrubbed sample in `pages/` stands in alone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import models, transaction

from apps.collector import endpoints
from apps.collector.details_ci import PIPELINE_DETAILS
from apps.collector.details_mr import MERGE_REQUEST_DETAILS
from apps.collector.models import Quarantine, RawMergeRequest, RawPipeline
from apps.collector.normalise import instant
from apps.collector.reading import Page
from apps.collector.route import Route
from apps.collector.storing import reader_of, store
from apps.collector.tables import Table, given_for

pytestmark = pytest.mark.django_db

HERE = Path(__file__).parent
RECORDED = HERE.parents[3] / "shared" / "gitlab" / "recorded"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PROJECT = 77

MR_REST, PIPELINE_REST = MERGE_REQUEST_DETAILS[1], PIPELINE_DETAILS[1]


def _of(endpoint: endpoints.Endpoint) -> Route:
    return endpoint.routes[0]


LISTS: dict[str, Route] = {  # what the recording calls it: the route that reads a list of it
    "GET /projects/:id/merge_requests": _of(endpoints.MERGE_REQUESTS),
    "GET /projects/:id/merge_requests/:iid": _of(endpoints.MERGE_REQUESTS),
    "GET /projects/:id/issues": _of(endpoints.ISSUES),
    "GET /projects/:id/issues/:iid": _of(endpoints.ISSUES),
    "GET /projects/:id/releases": _of(endpoints.RELEASES),
    "GET /projects/:id/repository/branches": _of(endpoints.BRANCHES),
    "GET /projects/:id/repository/branches/:branch": _of(endpoints.BRANCHES),
    "GET /projects/:id/repository/commits": _of(endpoints.COMMITS),
    "GET /projects/:id/repository/commits/:sha": _of(endpoints.COMMITS),
    "GET /projects/:id/repository/tags": _of(endpoints.TAGS),
    "GET /projects/:id/repository/tags/:tag": _of(endpoints.TAGS),
    "GET /groups/:id/projects": _of(endpoints.PROJECTS),
    "GET /projects/:id": _of(endpoints.PROJECTS),
    "GET /projects/:id/pipelines": _of(endpoints.PIPELINES),
    "GET /projects/:id/events": _of(endpoints.PUSH_EVENTS),
    "GET /projects/:id/environments": _of(endpoints.ENVIRONMENTS),
    "GET /projects/:id/deployments": _of(endpoints.DEPLOYMENTS),
    "merge-request": _of(endpoints.MERGE_REQUESTS),
    "issue": _of(endpoints.ISSUES),
    "branch": _of(endpoints.BRANCHES),
    "tag": _of(endpoints.TAGS),
    "releases": _of(endpoints.RELEASES),
    "commit": _of(endpoints.COMMITS),
    "deployment": _of(endpoints.DEPLOYMENTS),
    "environment": _of(endpoints.ENVIRONMENTS),
    "pipeline": _of(endpoints.PIPELINES),
    "project": _of(endpoints.PROJECTS),
    "project-events": _of(endpoints.PUSH_EVENTS),
    "events": _of(endpoints.PUSH_EVENTS),
}
PARTS: dict[str, tuple[Route, str]] = {  # the part of a put-together document that it is
    "GET /projects/:id/merge_requests/:iid/commits": (MR_REST, "commits"),
    "GET /projects/:id/merge_requests/:iid/notes": (MR_REST, "notes"),
    "approvals": (MR_REST, "approvals"),
    "merge-request": (MR_REST, "detail"),
    "GET /projects/:id/merge_requests/:iid": (MR_REST, "detail"),
    "job": (PIPELINE_REST, "jobs"),
    "GET /projects/:id/pipelines/:id/jobs": (PIPELINE_REST, "jobs"),
    "GET /projects/:id/pipelines/:id": (PIPELINE_REST, "detail"),
    "pipeline": (PIPELINE_REST, "detail"),
}
GIVEN = {
    "mr_id": 501,
    "pipeline_id": 502,
    "sha": "f" * 40,
    "iid": 1,
    "seen_at": NOW,
    "server_fields": {},
    "numbers": {},
}


def recordings(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """(source, what it is, body) of every answer that succeeded."""
    for file in sorted(folder.glob("*.jsonl")):
        if "webhooks" in file.name or "write_requests" in file.name:
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row.get("status", 200) == 200 and isinstance(row.get("body"), list | dict):
                yield row["source"], row.get("endpoint") or row.get("entity", ""), row["body"]


def feed(route: Route, documents: list[Any]) -> None:
    """As if a page with these had arrived, and nothing about them was known: one thing is recorded at many
    ages."""
    if not route.tables[0].updates:
        route.tables[0].into.objects.all().delete()
    given = {**given_for(PROJECT, now=NOW), **GIVEN}
    rows = reader_of(route).rows(json.dumps(documents).encode())
    assert len(rows) == len([document for document in documents if document is not None])
    with transaction.atomic():
        store(route, Page([(row, given) for row in rows], NOW), project_id=PROJECT)


def stored(table: Table, item: dict[str, Any]) -> models.Model | None:
    """The row of one item, found by its key."""
    wanted = {}
    for name in table.key:
        paths = table.fields[name].paths
        wanted[name] = _value(item, paths) if paths else PROJECT
    return table.into.objects.filter(**wanted).first()


def _value(item: dict[str, Any], paths: tuple[str, ...]) -> Any:
    for path in paths:
        found: Any = item
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None


def is_same(column: models.Field, sent: Any, kept: Any) -> bool:
    """Whether a column says what GitLab said: null for null, otherwise the same value."""
    if sent is None:
        return kept in (None, [])
    if isinstance(column, models.DateTimeField):
        return kept == instant(sent)
    if isinstance(column, models.TextField) and not isinstance(sent, str):
        return kept == str(sent)
    return kept == sent


def check(table: Table, item: dict[str, Any], where: str) -> int:
    """Compare every plainly mapped column of one item; answers how many were compared."""
    row = stored(table, item)
    if row is None:
        sent = json.dumps(item, default=str)[:200]
        assert Quarantine.objects.filter(entity=table.name).exists(), f"lost from {where}: {sent}"
        return 0
    compared = 0
    for name, field in table.fields.items():
        if field.paths and name not in CHANGED_ON_PURPOSE:
            column = table.into._meta.get_field(name)
            assert is_same(column, _value(item, field.paths), getattr(row, column.attname)), (
                f"{name} of {where}"
            )
            compared += 1
    return compared


CHANGED_ON_PURPOSE = {
    "reviewer_ids",
    "title",
    "author_email_hash",
    "author_name",
    "reverts_sha",
    "reverts_mr_iid",
    "authored_at",
    "committed_at",
    "status",
    "issue_type",
    "event_key",
    "kind",
    "retried_flag",
    "released_at",
    "merge_requests_access_level",
    "issues_access_level",
    "builds_access_level",
}


def feed_all(folder: Path) -> tuple[int, int]:
    """Everything in a folder; answers (answers fed, columns compared)."""
    fed = compared = 0
    for source, what, body in recordings(folder):
        if what in LISTS:
            items = body if isinstance(body, list) else [body]
            if what.endswith("events"):
                items = [item for item in items if item.get("push_data")]
            feed(LISTS[what], items)
            fed += 1
            last = {stored_key(LISTS[what].tables[0], item): item for item in items}  # the newest copy counts
            compared += sum(check(LISTS[what].tables[0], item, f"{what} {source}") for item in last.values())
        if what in PARTS:
            route, part = PARTS[what]
            feed(route, [{part: [body] if what == "job" else body}])
            fed += 1
    return fed, compared


def stored_key(table: Table, item: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(_value(item, table.fields[name].paths) for name in table.key if table.fields[name].paths)


@pytest.fixture
def parents(db):
    """The merge request and the pipeline to which parts belong."""
    RawMergeRequest.objects.create(
        mr_id=501, project_id=PROJECT, iid=1, state="merged", created_at=NOW, updated_at=NOW, fetched_at=NOW
    )
    RawPipeline.objects.create(
        pipeline_id=502, project_id=PROJECT, status="success", created_at=NOW, fetched_at=NOW
    )


def test_recorded_answers_of_real_gitlabs_are_kept_as_they_were_sent(parents):
    if not RECORDED.is_dir():
        pytest.skip(f"no recordings at {RECORDED}")
    fed, compared = feed_all(RECORDED)
    print(f"{fed} answers, {compared} columns compared")
    for row in Quarantine.objects.all():
        print("quarantined:", row.entity, row.entity_id, row.reason)
    assert fed > 150
    assert compared > 3_000


def test_the_sample_pages_are_kept_as_they_were_sent(parents):
    fed, compared = feed_all(HERE / "pages")
    assert fed >= 10
    assert compared > 50
    assert not Quarantine.objects.exists()

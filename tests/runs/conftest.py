"""A small GitLab, an org tree, and a broker of our own for runs that are driven by hand."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from apps.exports import disk
from apps.exports.models import Artifact
from apps.orgmap.import_org import seed_if_empty
from apps.runs.models import Run
from tem import clock
from tem.celery import app
from tests.acceptance.plain_gitlab import TOKEN, serving
from tests.acceptance.small_world import ORG_FILE
from tests.runs.crashes import a_run
from tests.runs.gate import Gate, a_world

FIRST_VERSION = "select setval(pg_get_serial_sequence('rule_change', 'version'), 1, false)"
"""A sequence is not rolled back, and files tell the version of the rules."""


@pytest.fixture
def world() -> Gate:
    """Three projects, ten days; the test may take answers away or hold them back."""
    return Gate(a_world(clock.midnight(clock.day_of(clock.now()) - dt.timedelta(days=1))))


@pytest.fixture
def broker() -> Iterator[None]:
    """Queues that nobody else reads or writes."""
    options = dict(app.conf.broker_transport_options)
    app.conf.broker_transport_options = {**options, "global_keyprefix": f"test-{uuid.uuid4().hex[:8]}:"}
    app._after_fork()  # drops the pooled connections, which carry the old prefix
    yield
    app.conf.broker_transport_options = options
    app._after_fork()


@pytest.fixture
def gitlab(world: Gate, broker: None, db: None, settings, tmp_path: Path) -> Iterator[Gate]:
    """The world served, as the GitLab of the settings, for the org tree in the database."""
    org_file = tmp_path / "org.yaml"
    org_file.write_text(ORG_FILE)
    with connection.cursor() as sql:
        sql.execute(FIRST_VERSION)
    seed_if_empty(str(org_file), now=clock.now())
    with serving(world) as address:
        settings.GITLAB_URL, settings.GITLAB_TOKEN = address, TOKEN
        settings.TEM_EXPORT_DIR = tmp_path / "exports"
        yield world


@pytest.fixture
def run(gitlab: Gate) -> Run:
    """A backfill of three days, opened, whose ends are counted."""
    return a_run("backfill", days=3)


@pytest.fixture
def are_whole(settings: Any) -> Callable[[], bool]:
    """Whether each version of a file that stands is on disk, byte for byte, with nothing half made beside."""

    def look() -> bool:
        newest = {(row.day, row.format): row for row in Artifact.objects.order_by("version")}
        names = {f"{day}.{form}": row.sha256 for (day, form), row in newest.items()}
        paths = [path for path in (settings.TEM_EXPORT_DIR / "daily").glob("*") if path.is_file()]
        found = {path.name: disk.digest_of(path) for path in paths}
        return names.items() <= found.items() and not [name for name in found if name.endswith(".tmp")]

    return look

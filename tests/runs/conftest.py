"""A small GitLab, an org tree, and a broker of our own for runs that are driven by hand."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from apps.orgmap.import_org import seed_if_empty
from tem import clock
from tem.celery import app
from tests.acceptance.plain_gitlab import TOKEN, serving
from tests.acceptance.small_world import ORG_FILE
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

"""Runs driven to their end by hand, in a house of our own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apps.orgmap.import_org import seed_if_empty
from apps.runs.models import Run
from tem import clock, pipeline
from tem.celery import app
from tests.acceptance.small_world import ORG_FILE
from tests.runs.gate import drain


def run_through(kind: str, **asked: Any) -> Run:
    """A run of this kind, done; AssertionError where it failed."""
    slot = f"{kind} {Run.objects.count()}"
    done = drain(pipeline.start(kind, slot=slot, now=clock.now(), **asked))
    assert done.state in ("done", "partial"), done.reason
    return done


@contextmanager
def queues_of_our_own() -> Iterator[None]:
    """Nobody else reads or writes them."""
    options = dict(app.conf.broker_transport_options)
    app.conf.broker_transport_options = {**options, "global_keyprefix": f"test-{uuid.uuid4().hex[:8]}:"}
    app._after_fork()
    yield
    app.conf.broker_transport_options = options
    app._after_fork()


def an_org_tree(folder: Path) -> None:
    """The example org, as if its file had been imported."""
    org_file = folder / "org.yaml"
    org_file.write_text(ORG_FILE, encoding="utf-8")
    seed_if_empty(str(org_file), now=clock.now())

"""Marks that are moved without a reading: only those that a proof reaches."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from apps.collector.marks import OVERLAP, prove
from apps.collector.models import IngestionState
from apps.collector.tests.server import NOW

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


def proved(**traits: Any) -> bool:
    """Whether a proof from three hours ago until now moves a mark of two hours ago."""
    usual = {
        "last_seen_updated_at": NOW - 2 * HOUR,
        "last_run_at": NOW - 2 * HOUR,
        "history_from": NOW - 9 * HOUR,
    }
    state = IngestionState.objects.create(level="project", level_id=7, entity="tags", **{**usual, **traits})
    prove("tags", [7], since=NOW - 3 * HOUR, until=NOW)
    before = state.last_run_at
    state.refresh_from_db()
    assert (state.last_run_at == NOW) is (state.last_run_at != before)
    if state.last_run_at == NOW:
        assert state.last_seen_updated_at == NOW - OVERLAP
    return state.last_run_at == NOW


def test_a_mark_within_the_proof_moves():
    assert proved()


@pytest.mark.parametrize(
    "traits",
    [
        {"last_seen_updated_at": NOW - 4 * HOUR},
        {"history_from": None},
        {"unavailable": "no_access"},
        {"dirty_at": NOW - HOUR},
        {"cursor": {"started": "2025-09-05T11:00:00+00:00"}},
    ],
    ids=["older than the proof", "never read", "refused", "hinted at", "in the middle of a reading"],
)
def test_any_other_stays_where_it_is(traits):
    assert not proved(**traits)

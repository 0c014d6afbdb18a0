"""The guarded upsert: idempotent, monotone, and silent where nothing changed."""

from __future__ import annotations

import json

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.collector import models
from apps.collector.endpoints import COMMITS, MERGE_REQUESTS, PROJECTS
from apps.collector.people import member, person
from apps.collector.reading import Page
from apps.collector.storing import reader_of, store
from apps.collector.tables import given_for
from apps.collector.tests.builders import commit, merge_request
from apps.collector.tests.server import NOW

pytestmark = pytest.mark.django_db
ROUTE = MERGE_REQUESTS.routes[0]


def put(route, items, now=NOW):
    given_ = given_for(7, now=now, server_fields={})
    rows = reader_of(route).rows(json.dumps(items).encode())
    with transaction.atomic():
        return store(route, Page([(row, given_) for row in rows], now), project_id=7)


def test_stale_page_does_not_overwrite():
    put(ROUTE, [merge_request(1, updated=10, title="new")])
    put(ROUTE, [merge_request(1, updated=9, title="old")])
    assert models.RawMergeRequest.objects.get().title == "new"


def test_the_same_page_again_writes_nothing_and_does_not_move_fetched_at():
    items = [merge_request(n) for n in range(5)]
    assert put(ROUTE, items) == 6  # and their author
    assert put(ROUTE, items, now=NOW.replace(hour=13)) == 0
    assert set(models.RawMergeRequest.objects.values_list("fetched_at", flat=True)) == {NOW}


def test_equal_updated_at_with_other_content_is_written():
    put(ROUTE, [merge_request(1, updated=10)])
    put(ROUTE, [merge_request(1, updated=10, draft=True)])
    assert models.RawMergeRequest.objects.get().draft is True


def test_duplicates_in_a_page_fold_to_the_newest():
    put(
        ROUTE,
        [merge_request(1, updated=9, title="b"), merge_request(1, updated=11, title="c"), merge_request(1)],
    )
    assert models.RawMergeRequest.objects.get().title == "c"


def test_columns_that_facts_settle_are_left_alone():
    put(ROUTE, [merge_request(1)])
    models.RawMergeRequest.objects.update(approvals_given=2, approvals_required=1, first_review_at=NOW)
    put(ROUTE, [merge_request(1, updated=5, title="x")])
    mr = models.RawMergeRequest.objects.get()
    assert (mr.title, mr.approvals_given, mr.approvals_required, mr.first_review_at) == ("x", 2, 1, NOW)


def test_what_a_page_does_not_know_it_does_not_forget():
    put(COMMITS.routes[0], [commit("c1")])
    without = commit("c1")
    del without["stats"]
    assert put(COMMITS.routes[0], [without]) == 0
    assert models.RawCommit.objects.get().additions == 1


def test_a_births_column_is_written_once():
    listed = {"id": 7, "path_with_namespace": "toman/x", "name": "x"}
    put(PROJECTS.routes[0], [listed])
    models.Project.objects.update(active_flag=True)
    put(PROJECTS.routes[0], [{**listed, "name": "y"}])
    project = models.Project.objects.get()
    assert (project.name, project.active_flag) == ("y", True)


def test_the_word_on_bots_is_not_forgotten_by_a_rest_page():
    assert "is_bot" in member("author").fields
    assert "is_bot" not in person("author").fields


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=20), st.integers(1, 7), st.randoms()
)
def test_any_order_and_batching_ends_in_the_same_rows(versions, size, rng):
    models.RawMergeRequest.objects.all().delete()
    items = [merge_request(n, updated=t, title=f"{n} at {t}") for n, t in versions]
    rng.shuffle(items)
    for start in range(0, len(items), size):
        put(ROUTE, items[start : start + size])
    newest = {n: max(t for m, t in versions if m == n) for n, _ in versions}
    kept = dict(models.RawMergeRequest.objects.values_list("iid", "title"))
    assert kept == {n: f"{n} at {t}" for n, t in newest.items()}

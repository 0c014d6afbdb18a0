"""No value that GitLab may send can hurt a table: it is stored readable, or refused with a reason."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.collector import models
from apps.collector.endpoints import COMMITS, MERGE_REQUESTS, RELEASES
from apps.collector.fields import hash_email
from apps.collector.notes import kind_of
from apps.collector.reading import Page
from apps.collector.storing import reader_of, store
from apps.collector.tables import given_for
from apps.collector.tests.builders import at, commit, merge_request
from apps.collector.tests.server import NOW

pytestmark = pytest.mark.django_db

ROUTE = MERGE_REQUESTS.routes[0]
ANY_DB = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(
            ["\0", "\ud800", "9999-12-31T00:00:00Z", "99999-01-01", "infinity", "0001-01-01T00:00:00Z", ""]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
broken = st.dictionaries(st.sampled_from(sorted(merge_request(1))), junk, max_size=4)


def put(route, items):
    given_ = given_for(7, now=NOW, server_fields={})
    rows = reader_of(route).rows(json.dumps(items).encode())
    with transaction.atomic():
        return store(route, Page([(row, given_) for row in rows], NOW), project_id=7)


@ANY_DB
@given(st.lists(broken, min_size=1, max_size=8))
def test_stored_and_quarantined_make_up_what_was_sent(breakages):
    models.RawMergeRequest.objects.all().delete()
    models.Quarantine.objects.all().delete()
    items = [
        {**merge_request(n), **{k: v for k, v in b.items() if k not in ("id", "iid")}}
        for n, b in enumerate(breakages)
    ]
    put(ROUTE, items)
    main = models.Quarantine.objects.filter(entity="raw_mr")
    assert models.RawMergeRequest.objects.count() + main.count() == len(items)
    for row in models.RawMergeRequest.objects.all():  # every row is readable back
        assert row.created_at.year >= 1970
        assert "\0" not in f"{row.title}{row.state}{row.source_branch}"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a\x00b", "ab"),
        ("a\tb\nc\\d", "a\tb\nc\\d"),
        ("\\N", "\\N"),
        ("x" * 9000, "x" * 4000),
        ("ünï 🎉", "ünï 🎉"),
    ],
)
def test_text_survives_the_way_into_the_table(sent, kept):
    put(ROUTE, [merge_request(1, title=sent)])
    assert models.RawMergeRequest.objects.get().title == kept


def test_null_absent_and_the_letters_null_are_three_things():
    without = merge_request(2)
    del without["source_branch"]
    put(ROUTE, [merge_request(1, source_branch=None), without, merge_request(3, source_branch="null")])
    kept = models.RawMergeRequest.objects.order_by("iid").values_list("source_branch", flat=True)
    assert list(kept) == [None, None, "null"]


def test_identifiers_beyond_32_bits_and_odd_labels_are_kept():
    put(ROUTE, [merge_request(1, id=2**40, labels=['a"b', "c,d", "{e}", "\\", {"title": "scoped::x"}])])
    mr = models.RawMergeRequest.objects.get()
    assert (mr.pk, mr.labels) == (2**40, ['a"b', "c,d", "{e}", "\\", "scoped::x"])


@pytest.mark.parametrize(
    "when", ["2025-09-07T00:00:00Z", "1969-12-31T23:59:59Z", "tomorrow", "99999-01-01", 17]
)
def test_an_instant_that_cannot_be_is_refused_with_a_reason(when):
    put(ROUTE, [merge_request(1, merged_at=when), merge_request(2)])
    assert list(models.RawMergeRequest.objects.values_list("iid", flat=True)) == [2]
    assert models.Quarantine.objects.get().reason.startswith("merged_at ")


def test_an_announced_release_may_lie_ahead():
    put(RELEASES.routes[0], [{"tag_name": "v9", "released_at": "2031-01-01T00:00:00Z", "created_at": at(1)}])
    assert models.RawRelease.objects.get().released_at.year == 2031


def test_a_commit_with_an_impossible_clock_stays_in_the_graph():
    put(
        COMMITS.routes[0],
        [
            commit(
                "c1",
                committed_date="2262-01-01T00:00:00Z",
                created_at=None,
                authored_date="0001-01-01T00:00:00Z",
            ),
            commit("c2", "c1", committed_date="garbage", created_at=None),
        ],
    )
    first, second = models.RawCommit.objects.order_by("commit_id")
    assert (first.committed_at.year, first.authored_at) == (1970, None)
    assert (second.committed_at, second.parent_ids) == (dt.datetime(2025, 8, 1, tzinfo=dt.UTC), ["c1"])


def test_a_commit_message_leaves_only_what_it_reverts():
    text = "Revert\n\nThis reverts commit 0123456789abcdef.\nThis reverts merge request toman/x!42"
    put(COMMITS.routes[0], [commit("c1", message=text, author_name="Bob <bob@example.org>")])
    row = models.RawCommit.objects.get()
    assert (row.reverts_sha, row.reverts_mr_iid, row.author_name) == (
        "0123456789abcdef",
        42,
        "Bob <[e-mail]>",
    )


def test_addresses_are_hashed_alike_whatever_their_case_and_with_a_key(settings):
    settings.TEM_EMAIL_HASH_KEY = "one"
    first = hash_email(" Ann@Example.org ")
    assert first == hash_email("ann@example.org")
    assert hash_email("  ") is None
    settings.TEM_EMAIL_HASH_KEY = "two"
    assert hash_email("ann@example.org") != first


@pytest.mark.parametrize(
    ("action", "body", "kind"),
    [
        ("approved", "approved this merge request", "approved"),
        (None, "unapproved this merge request", "unapproved"),
        ("title", "marked this merge request as **ready**", "ready"),
        ("title", "marked this merge request as **draft**", "draft"),
        (None, "marked as a **Work In Progress**", "draft"),
        (None, "unmarked as a **Work In Progress**", "ready"),
        ("title", "changed title from **a** to **b**", None),
        ("label", "closed", None),
        ("opened", "reopened", "reopened"),
        (None, "closed via merge request !5", "closed"),
        (None, "added 3 commits\n\n* abc", "commit"),
        (None, None, None),
    ],
)
def test_system_notes_are_understood_by_action_then_by_text(action, body, kind):
    assert kind_of(system=True, action=action, body=body) == kind


def test_a_comment_is_a_note_whatever_it_says():
    assert kind_of(system=False, action=None, body="approved this merge request") == "note"

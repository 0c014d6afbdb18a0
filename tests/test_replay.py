"""Rows that could not be read: asked for again in the admin, read by the next collection, then gone."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse

from apps.collector import replay
from apps.collector.client import Client
from apps.collector.collect import collect
from apps.collector.marks import Mark
from apps.collector.models import (
    IngestionState,
    Project,
    Quarantine,
    RawCommit,
    RawMergeRequest,
    RawMergeRequestEvent,
    RawPipeline,
)  # fmt: skip
from apps.collector.tests.builders import START, at, commit, merge_request, project, small_world
from apps.collector.tests.server import NOW, FakeGitlab, serving
from apps.orgmap.models import Organisation
from apps.runs.ledger import Unrecorded
from tem import clock

pytestmark = pytest.mark.django_db
LISTS = "/projects/7/"
BROKEN = {"created_at": "99999-01-01T00:00:00Z"}


@pytest.fixture
def gitlab(db):
    """Project 7, in which a merge request, a commit and a note cannot be read."""
    Organisation.objects.get_or_create(name="Toman", defaults={"root_groups": ["toman"], "bots": []})
    project()
    with serving(FakeGitlab()) as server:
        small_world(server)
        server.lists[f"{LISTS}merge_requests"].insert(0, merge_request(3, updated=1, **BROKEN))
        server.lists[f"{LISTS}repository/commits"].append(commit("c0", when=0, parent_ids=["x"]))
        server.lists[f"{LISTS}repository/commits"][-1]["stats"] = {"additions": "many"}
        server.lists[f"{LISTS}merge_requests/1/notes"][0]["created_at"] = BROKEN["created_at"]
        yield server


def collected(server: FakeGitlab) -> int:
    """Collect once more; answers how many requests it took."""
    client = Client(url=server.url, token="x", first_wait_s=0.001)
    collect(7, client=client, since=START, step=Unrecorded())
    return client.requests


def mend(server: FakeGitlab) -> None:
    """GitLab, or our reading, is better now; no row says that it changed."""
    server.lists[f"{LISTS}merge_requests"][0]["created_at"] = at(0)
    server.lists[f"{LISTS}repository/commits"][-1]["stats"] = {"additions": 3}
    server.lists[f"{LISTS}merge_requests/1/notes"][0]["created_at"] = at(6)
    number = server.lists[f"{LISTS}merge_requests"][0]["iid"]
    for part in ("commits", "notes"):
        server.lists[f"{LISTS}merge_requests/{number}/{part}"] = []


def stored() -> tuple[bool, bool, bool]:
    return (
        RawMergeRequest.objects.filter(pk=1003).exists(),
        RawCommit.objects.filter(commit_id="c0").exists(),
        RawMergeRequestEvent.objects.filter(mr_id=1001, event_key="note:71").exists(),
    )


def a_row(**more) -> Quarantine:
    values = {
        "project_id": 7, "entity": "raw_mr", "entity_id": "1003", "reason": "r", "payload_hash": "h",
        "endpoint": "merge_requests", "first_seen_at": NOW,
    }  # fmt: skip
    return Quarantine.objects.create(**{**values, **more})


class TestReadAgain:
    def test_rows_that_were_refused_say_where_they_came_from(self, gitlab):
        collected(gitlab)
        found = {(row.entity, row.endpoint, row.parent_id) for row in Quarantine.objects.all()}
        assert found == {
            ("raw_mr", "merge_requests", None),
            ("raw_commit", "commits", None),
            ("raw_mr_event", "merge_request_details", 1001),
        }

    def test_without_being_asked_for_they_stay_away(self, gitlab):
        collected(gitlab)
        mend(gitlab)
        collected(gitlab)
        assert stored() == (False, False, False)

    def test_asked_for_they_come_with_the_next_collection(self, gitlab):
        collected(gitlab)
        mend(gitlab)
        assert replay.ask_again(Quarantine.objects.all(), now=clock.now()) == (1, 2)
        collected(gitlab)
        assert stored() == (True, True, True)
        assert not Quarantine.objects.exists()

    def test_a_mended_row_leaves_though_one_beside_it_is_still_broken(self, gitlab):
        still = commit("c9", when=0) | {"stats": {"additions": "many"}}
        gitlab.lists[f"{LISTS}repository/commits"].insert(0, still)
        collected(gitlab)
        mend(gitlab)
        replay.ask_again(Quarantine.objects.all(), now=clock.now())
        collected(gitlab)
        assert list(Quarantine.objects.values_list("entity_id", flat=True)) == ["c9"]

    def test_only_what_was_asked_for_is_read_again(self, gitlab):
        collected(gitlab)
        cost = collected(gitlab)
        mend(gitlab)
        replay.ask_again(Quarantine.objects.filter(entity="raw_mr_event"), now=clock.now())
        assert collected(gitlab) - cost <= 4  # the parts of one merge request
        assert stored() == (False, False, True)

    def test_a_row_that_is_still_broken_is_asked_for_once(self, gitlab):
        collected(gitlab)
        cost = collected(gitlab)
        replay.ask_again(Quarantine.objects.all(), now=clock.now() - dt.timedelta(days=900))
        collected(gitlab)
        assert collected(gitlab) == cost
        assert Quarantine.objects.count() == 3

    def test_a_collection_under_way_does_not_swallow_the_wish(self, gitlab):
        collected(gitlab)
        mend(gitlab)
        under_way = Mark.of(level="project", level_id=7, entity="merge_requests")
        replay.ask_again(Quarantine.objects.filter(entity="raw_mr"), now=NOW + dt.timedelta(hours=1))
        under_way.finish({}, history=START, started=NOW)
        assert Mark.of(level="project", level_id=7, entity="merge_requests").start(START) != START
        replay.renew(7)
        assert Mark.of(level="project", level_id=7, entity="merge_requests").start(START) == START

    def test_the_end_of_a_collection_renews_the_wish(self, gitlab):
        collected(gitlab)
        Quarantine.objects.filter(entity="raw_mr").update(asked_again_at=NOW + dt.timedelta(hours=1))
        collected(gitlab)
        assert IngestionState.objects.get(entity="merge_requests").history_from is None
        assert IngestionState.objects.get(entity="commits").history_from is not None

    def test_a_project_that_was_laid_to_rest_is_opened_again(self, gitlab):
        Project.objects.update(archived=True, settled_at=NOW)
        replay.ask_again([a_row()], now=NOW)
        assert Project.objects.get().settled_at is None

    def test_a_row_without_a_project_is_looked_for_in_all(self, gitlab):
        project(project_id=8, path_with_namespace="toman/core/b")
        for number in (7, 8):
            Mark.of(level="project", level_id=number, entity="merge_requests").finish(
                {}, history=START, started=NOW
            )
        assert replay.ask_again([a_row(project_id=None)], now=NOW) == (0, 2)
        assert not IngestionState.objects.filter(history_from__isnull=False).exists()

    def test_further_queries_of_a_list_are_read_again_with_it(self, gitlab):
        collected(gitlab)
        replay.ask_again([a_row()], now=NOW)
        left = IngestionState.objects.filter(entity__startswith="merge_requests:")
        assert left.count() == 1
        assert left.get().history_from is None
        others = IngestionState.objects.filter(entity__startswith="merge_requests_")
        assert others.filter(history_from__isnull=False).count() == 2

    @pytest.mark.parametrize(
        ("endpoint", "mark"),
        [
            ("merge_request_details", "detail_at"),
            ("merge_request_issues", "links_at"),
            ("merge_request_versions", "versions_at"),
        ],
    )
    def test_the_mark_that_is_forgotten_is_the_endpoint_s_own(self, gitlab, endpoint, mark):
        collected(gitlab)
        marks = {"detail_at": NOW, "links_at": NOW, "versions_at": NOW}
        RawMergeRequest.objects.update(**marks)
        replay.ask_again([a_row(endpoint=endpoint, parent_id=1001)], now=NOW)
        assert RawMergeRequest.objects.filter(pk=1001).values(*marks).get() == {**marks, mark: None}
        assert RawMergeRequest.objects.filter(pk=1002, **marks).exists()

    def test_rows_that_are_always_due_have_no_mark_to_forget(self, gitlab):
        collected(gitlab)
        before = RawPipeline.objects.values().get()
        replay.ask_again([a_row(endpoint="unfinished_pipelines", parent_id=5001)], now=NOW)
        assert RawPipeline.objects.values().get() == before


class TestSettling:
    def settled(self, **row) -> bool:
        a_row(**row)
        replay.settle("raw_mr", ["1001", "1003"], 7, endpoint="merge_requests")
        return not Quarantine.objects.exists()

    def test_a_stored_row_leaves(self):
        assert self.settled()

    def test_one_that_a_whole_group_s_list_refused_leaves_too(self):
        assert self.settled(project_id=None)

    def test_one_of_before_endpoints_were_noted_leaves_too(self):
        assert self.settled(endpoint="")

    @pytest.mark.parametrize(
        "row",
        [
            {"project_id": 8},
            {"entity": "raw_issue"},
            {"entity_id": "1004"},
            {"entity_id": ""},
            {"endpoint": "merge_request_details", "parent_id": 1003},
            {"endpoint": "", "parent_id": 1003},
            {"endpoint": "merge_request_details"},
        ],
    )
    def test_another_row_stays(self, row):
        assert not self.settled(**row)

    def test_an_empty_id_never_matches(self):
        a_row(entity_id="")
        assert replay.settle("raw_mr", ["", "1003"], 7, endpoint="merge_requests") == 0

    def test_a_group_s_list_settles_for_every_project(self):
        a_row()
        assert replay.settle("raw_mr", ["1003"], None, endpoint="merge_requests") == 1

    def test_a_table_that_several_endpoints_fill_settles_for_all_of_them(self):
        a_row(entity="raw_issue", entity_id="9001", endpoint="closed_issues")
        a_row(entity="raw_pipeline", entity_id="5001", endpoint="child_pipelines")
        assert replay.settle("raw_issue", ["9001"], 7, endpoint="issues") == 1
        assert replay.settle("raw_pipeline", ["5001"], 7, endpoint="pipelines") == 1

    def test_a_key_with_a_word_before_the_number_is_the_number(self):
        a_row(entity="raw_issue_event", entity_id="55", endpoint="issues_closed")
        assert replay.settle("raw_issue_event", ["state:55"], 7, endpoint="issues_closed") == 1

    def test_details_leave_by_their_parent(self):
        a_row(endpoint="merge_request_details", entity_id="", parent_id=1001)
        a_row(endpoint="merge_request_details", entity_id="", parent_id=1002, payload_hash="j")
        a_row(endpoint="merge_request_versions", entity_id="", parent_id=1001, payload_hash="i")
        assert replay.settle_details("merge_request_details", [1001, 1003]) == 1
        assert Quarantine.objects.count() == 2

    def test_an_empty_quarantine_is_seen_in_one_look(self, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert not replay.is_needed(7)
        a_row(project_id=8)
        assert not replay.is_needed(7)
        assert replay.is_needed(8)
        assert replay.is_needed(None)
        a_row(project_id=None)
        assert replay.is_needed(7)


class TestAdmin:
    ADDRESS = reverse("admin:collector_quarantine_changelist")

    def press(self, client, *rows: Quarantine):
        told = {"action": "read_again", "_selected_action": [row.pk for row in rows]}
        return client.post(self.ADDRESS, told, follow=True)

    def test_the_action_asks_and_is_written_down(self, gitlab, admin_client, admin_user):
        Mark.of(level="project", level_id=7, entity="merge_requests").finish({}, history=START, started=NOW)
        row, other = a_row(), a_row(entity_id="1004")
        answer = self.press(admin_client, row)
        assert "0 details and 1 lists will be read again" in answer.content.decode()
        row.refresh_from_db()
        other.refresh_from_db()
        assert row.asked_again_at is not None
        assert other.asked_again_at is None
        entry = LogEntry.objects.get()
        assert (entry.user, entry.object_id) == (admin_user, str(row.pk))
        assert IngestionState.objects.get(entity="merge_requests").history_from is None

    def test_who_may_only_look_cannot_ask(self, gitlab, client, django_user_model):
        viewer = django_user_model.objects.create_user("ann", is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_quarantine"))
        client.force_login(viewer)
        row = a_row()
        assert self.press(client, row).status_code == 200
        row.refresh_from_db()
        assert row.asked_again_at is None

    def test_rows_are_found_by_entity_project_and_reason(self, gitlab, admin_client):
        a_row()
        a_row(entity="raw_issue", entity_id="4711", reason="title is missing")
        for query in ("entity=raw_issue", "reason=title+is+missing"):
            text = admin_client.get(f"{self.ADDRESS}?{query}").content.decode()
            assert "4711" in text
            assert "1003" not in text
        text = admin_client.get(f"{self.ADDRESS}?project__project_id__exact=7").content.decode()
        assert "4711" in text

"""Webhooks as hints: who is believed, what is marked, and what is never done with them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import threading
import time
import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from structlog.testing import capture_logs

from apps.collector import webhook_events
from apps.collector.client import Client
from apps.collector.collect import Thoroughness, collect
from apps.collector.endpoints import ENDPOINTS
from apps.collector.marks import Mark
from apps.collector.models import IngestionState
from apps.collector.rest import Rest
from apps.collector.tests.builders import START, project, small_world
from apps.collector.tests.server import FakeGitlab, serving
from apps.orgmap.models import Organisation
from apps.runs.ledger import Unrecorded
from tem import clock

TOKEN, KEY = "hook-canary-5d1c", b"signing-canary-88"
PUSH = {"object_kind": "push", "project_id": 7, "commits": [{"message": "payload-canary"}]}
NOW = clock.now()


@pytest.fixture
def with_token(settings):
    settings.TEM_WEBHOOK_TOKEN = TOKEN
    settings.TEM_REDIS_PREFIX = f"test-{uuid.uuid4().hex[:8]}:"


@pytest.fixture
def with_key(settings):
    settings.TEM_WEBHOOK_SIGNING_KEY = KEY
    settings.TEM_REDIS_PREFIX = f"test-{uuid.uuid4().hex[:8]}:"


def send(event: Any, **headers: str):
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Browser().post("/hooks/gitlab", body, content_type="application/json", headers=given)


def signed(event: Any, *, key: bytes = KEY, name: str = "d1", late_min: int = 0) -> dict[str, str]:
    at = clock.now() - dt.timedelta(minutes=late_min)
    told = f"{name}.{int(at.timestamp())}.".encode() + json.dumps(event).encode()
    signature = base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
    return {
        "webhook_id": name,
        "webhook_timestamp": str(int(at.timestamp())),
        "webhook_signature": f"v1,b3RoZXI= v1,{signature}",
    }


def dirty() -> set[str]:
    found = IngestionState.objects.filter(level="project", level_id=7, dirty_at__isnull=False)
    return set(found.values_list("entity", flat=True))


@pytest.mark.django_db
class TestWhoIsBelieved:
    def test_without_a_secret_there_is_no_such_address(self):
        project()
        assert send(PUSH, X_Gitlab_Token="").status_code == 404
        assert dirty() == set()

    def test_the_token_opens(self, with_token):
        project()
        assert send(PUSH, X_Gitlab_Token=TOKEN).status_code == 202
        assert dirty() == set(webhook_events.EVENTS["push"])

    @pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", "ключ"])
    def test_any_other_token_does_not(self, with_token, token):
        project()
        answer = send(PUSH, **({} if token is None else {"X_Gitlab_Token": token}))
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert dirty() == set()

    def test_one_good_signature_of_several_opens(self, with_key):
        project()
        assert send(PUSH, **signed(PUSH)).status_code == 202
        assert dirty()

    @pytest.mark.parametrize(
        "headers",
        [
            dict,
            lambda: signed(PUSH, key=b"another"),
            lambda: signed({**PUSH, "project_id": 8}),
            lambda: signed(PUSH, late_min=6),
            lambda: signed(PUSH, late_min=-6),
            lambda: {**signed(PUSH), "webhook_id": "d2"},
            lambda: {**signed(PUSH), "webhook_timestamp": "soon"},
            lambda: {**signed(PUSH), "webhook_timestamp": "9" * 400},
            lambda: {
                **signed(PUSH),
                "webhook_signature": signed(PUSH)["webhook_signature"].replace("v1", "v2"),
            },
            lambda: {"X_Gitlab_Token": TOKEN},
        ],
        ids=["none", "key", "body", "old", "ahead", "id", "no time", "vast time", "version", "token only"],
    )
    def test_any_other_signature_does_not(self, with_key, headers):
        project()
        assert send(PUSH, **headers()).status_code == 401
        assert dirty() == set()

    def test_a_signature_that_is_a_little_late_opens(self, with_key):
        project()
        assert send(PUSH, **signed(PUSH, late_min=4)).status_code == 202

    def test_with_both_set_both_must_hold(self, with_token, with_key):
        project()
        assert send(PUSH, X_Gitlab_Token=TOKEN).status_code == 401
        assert send(PUSH, **signed(PUSH)).status_code == 401
        assert send(PUSH, X_Gitlab_Token=TOKEN, **signed(PUSH)).status_code == 202

    def test_a_hook_is_posted(self, with_token):
        assert Browser().get("/hooks/gitlab", headers={"X-Gitlab-Token": TOKEN}).status_code == 405

    def test_nothing_secret_reaches_the_logs(self, with_token, with_key, caplog):
        project()
        caplog.set_level("DEBUG")
        with capture_logs() as told:
            send(PUSH, X_Gitlab_Token=TOKEN, **signed(PUSH))
            send(PUSH, X_Gitlab_Token=TOKEN + "x")
            send(b"{payload-canary", X_Gitlab_Token=TOKEN, **signed(PUSH))
        written = caplog.text + str(told)
        assert "'project': 7" in written
        assert TOKEN not in written
        assert "payload-canary" not in written


@pytest.mark.django_db
class TestWhatIsMarked:
    def test_every_entity_of_the_table_is_a_list_of_the_endpoint_table(self):
        lists = {one.name for one in ENDPOINTS if isinstance(one.routes[0].source, Rest)} | {"commits"}
        assert {name for names in webhook_events.EVENTS.values() for name in names} <= lists

    @pytest.mark.parametrize(
        ("event", "kind"),
        [
            ({"object_kind": "tag_push", "project_id": 7}, "tag_push"),
            ({"object_kind": "merge_request", "project": {"id": 7}}, "merge_request"),
            ({"object_kind": "pipeline", "project": {"id": 7}}, "pipeline"),
            ({"object_kind": "build", "project_id": 7}, "build"),
            ({"object_kind": "deployment", "project": {"id": 7}}, "deployment"),
            ({"object_kind": "release", "project": {"id": 7}}, "release"),
            ({"object_kind": "issue", "event_type": "confidential_issue", "project": {"id": 7}}, "issue"),
            (
                {"object_kind": "note", "project_id": 7, "object_attributes": {"noteable_type": "Issue"}},
                "note on Issue",
            ),
            ({"event_name": "push", "project_id": 7}, "push"),  # a system hook
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_each_event_marks_its_own_lists(self, with_token, event, kind):
        project()
        assert send(event, X_Gitlab_Token=TOKEN).json() == {"marked": len(webhook_events.EVENTS[kind])}
        assert dirty() == set(webhook_events.EVENTS[kind])

    @pytest.mark.parametrize(
        "event",
        [
            {},
            {"object_kind": "wiki_page", "project": {"id": 7}},
            {"object_kind": "push"},
            {"object_kind": "push", "project_id": 8},
            {"object_kind": "push", "project_id": -1},
            {"object_kind": "push", "project_id": 10**30},
            {"object_kind": "push", "project_id": "7"},
            {"object_kind": ["push"], "project_id": 7},
            {"object_kind": "note", "project_id": 7, "object_attributes": {"noteable_type": "Commit"}},
            {"event_name": "project_create", "project_id": 7},
        ],
    )
    def test_what_we_do_not_know_is_taken_and_nothing_done(self, with_token, event):
        project()
        answer = send(event, X_Gitlab_Token=TOKEN)
        assert (answer.status_code, answer.json()) == (202, {"marked": 0})
        assert not IngestionState.objects.exists()

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"push"', b"null"])
    def test_what_is_no_json_object_is_refused(self, with_token, body):
        answer = send(body, X_Gitlab_Token=TOKEN)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"

    def test_a_body_that_never_ends_is_refused(self, with_token, monkeypatch):
        monkeypatch.setattr("tem.hooks.LARGEST_BODY", 1000)
        assert send({**PUSH, "more": "x" * 1000}, X_Gitlab_Token=TOKEN).status_code == 413

    def test_a_project_that_left_the_groups_is_not_marked(self, with_token):
        project(in_scope=False)
        assert send(PUSH, X_Gitlab_Token=TOKEN).json() == {"marked": 0}

    @pytest.mark.parametrize("header", ["Idempotency_Key", "webhook_id", "X_Gitlab_Event_UUID"])
    def test_a_delivery_counts_once(self, with_token, header):
        project()
        told = {"X_Gitlab_Token": TOKEN, header: "d1"}
        assert [send(PUSH, **told).json()["marked"] for _ in range(2)] == [3, 0]
        assert send(PUSH, X_Gitlab_Token=TOKEN, **{header: "d2"}).json()["marked"] == 3

    def test_hooks_that_share_their_uuid_all_count(self, with_token):
        project()
        told = {"X_Gitlab_Token": TOKEN, "X_Gitlab_Event_UUID": "d1"}
        assert send(PUSH, **told).json()["marked"] == 3
        assert send({"object_kind": "pipeline", "project": {"id": 7}}, **told).json()["marked"] == 2

    def test_without_redis_a_hint_is_kept_all_the_same(self, with_token, settings):
        settings.TEM_REDIS_URL = "redis://127.0.0.1:9/0"
        project()
        told = {"X_Gitlab_Token": TOKEN, "Idempotency_Key": "d1"}
        assert [send(PUSH, **told).json()["marked"] for _ in range(2)] == [3, 3]

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
    @examples(max_examples=40, deadline=None, database=None, derandomize=True)
    def test_no_shape_of_json_breaks_the_reading(self, value):
        names = ("object_kind", "event_name", "project_id", "project", "object_attributes")
        for name in names:
            body = json.dumps({"object_kind": "push", "project_id": 7, name: value}).encode("utf-8")
            try:
                webhook_events.event_in(body)
            except webhook_events.msgspec.DecodeError:
                assert "NaN" in body.decode() or "Infinity" in body.decode()


@pytest.mark.django_db
class TestBesideACollection:
    def test_only_the_hint_is_touched(self):
        project()
        mark = Mark.of(level="project", level_id=7, entity="commits")
        mark.finish({"floor": "x"}, history=NOW, started=NOW)
        before = IngestionState.objects.values().get()
        webhook_events.mark_dirty(webhook_events.Event("push", 7), now=NOW)
        after = IngestionState.objects.filter(entity="commits").values().get()
        assert after == {**before, "dirty_at": NOW}

    def test_a_page_that_is_stored_later_leaves_the_hint(self):
        project()
        mark = Mark.of(level="project", level_id=7, entity="commits")
        webhook_events.mark_dirty(webhook_events.Event("push", 7), now=NOW)
        mark.reach({"page": 2}, history=NOW, started=NOW)
        mark.finish({}, history=NOW, started=NOW)
        assert dirty() == set(webhook_events.EVENTS["push"])

    def test_a_hint_of_before_is_cleared_and_one_of_meanwhile_stays(self):
        project()
        webhook_events.mark_dirty(webhook_events.Event("push", 7), now=NOW)
        first = Mark.of(level="project", level_id=7, entity="commits")
        second = Mark.of(level="project", level_id=7, entity="branches")
        webhook_events.mark_dirty(webhook_events.Event("push", 7), now=NOW + dt.timedelta(seconds=1))
        first.finish({}, history=NOW, started=NOW)
        assert "commits" in dirty()
        Mark.of(level="project", level_id=7, entity="commits").clear_hint()
        assert "commits" not in dirty()
        assert second.is_dirty


@pytest.mark.django_db
def test_the_next_collection_reads_what_was_hinted_at_and_nothing_else(with_token):
    Organisation.objects.get_or_create(name="Toman", defaults={"root_groups": ["toman"], "bots": []})
    project()
    with serving(FakeGitlab()) as server:
        small_world(server)

        def lists_read() -> set[str]:
            """Of a collection that trusts what was read since the start of history."""
            asked = len(server.asked)
            client = Client(url=server.url, token="x", first_wait_s=0.001)
            how = Thoroughness(fresh=START)
            collect(7, client=client, since=START, step=Unrecorded(), thoroughness=how)
            return {one.path.rpartition("/")[2] for one in server.asked[asked:]}

        assert {"merge_requests", "issues", "pipelines"} <= lists_read()
        assert "merge_requests" not in lists_read()
        send({"object_kind": "merge_request", "project": {"id": 7}}, X_Gitlab_Token=TOKEN)
        assert lists_read() - {"events"} == {"merge_requests"}
        assert dirty() == set()
        assert "merge_requests" not in lists_read()


@pytest.mark.django_db(transaction=True)
def test_hints_and_pages_at_once_neither_wait_in_a_circle_nor_lose_one():
    project()
    kinds = ["push", "tag_push", "merge_request", "deployment", "pipeline"]
    wanted = {name for kind in kinds for name in webhook_events.EVENTS[kind]}
    trouble: list[BaseException] = []

    def work(action) -> None:
        try:
            for _ in range(15):
                action()
        except BaseException as error:
            trouble.append(error)
        finally:
            connection.close()

    def tell() -> None:
        for kind in kinds:
            webhook_events.mark_dirty(webhook_events.Event(kind, 7), now=clock.now())

    def collect() -> None:
        for entity in sorted(wanted, reverse=True):
            with transaction.atomic():
                mark = Mark.of(level="project", level_id=7, entity=entity)
                mark.reach({"page": 1}, history=NOW, started=NOW)

    threads = [threading.Thread(target=work, args=(action,)) for action in (tell, tell, collect, collect)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert trouble == []
    assert dirty() == wanted
    assert set(IngestionState.objects.values_list("cursor__page", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_a_hint_that_cannot_be_kept_may_come_again(with_token, monkeypatch):
    project()
    monkeypatch.setattr(webhook_events, "_WAIT", "set local lock_timeout = '50ms'")
    webhook_events.mark_dirty(webhook_events.Event("push", 7), now=NOW)
    IngestionState.objects.update(dirty_at=None)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(IngestionState.objects.select_for_update())
            held.set()
            over.wait(timeout=30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(timeout=30)
    began = time.monotonic()
    told = {"X_Gitlab_Token": TOKEN, "Idempotency_Key": "d1"}
    try:
        answer = send(PUSH, **told)
    finally:
        over.set()
        holder.join()
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert time.monotonic() - began < 5
    assert send(PUSH, **told).json() == {"marked": 3}

"""What probes and operators are told, and who may start something."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client as Browser
from django.utils.crypto import get_random_string

from apps.collector.exclusions import exclude
from apps.collector.marks import Mark
from apps.collector.models import Quarantine, Server
from apps.collector.server import Abilities
from apps.collector.tests.builders import project
from apps.collector.webhook_events import Event, mark_dirty
from apps.runs.models import Run
from tem import clock, pipeline, probes
from tests.runs.gate import drain

pytestmark = pytest.mark.django_db
NOW = clock.now()


@pytest.fixture
def staff(admin_user) -> Browser:
    """A signed-in administrator whose browser guards against forgery."""
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    browser.cookies["csrftoken"] = get_random_string(32)
    return browser


@pytest.fixture
def token_asked_afresh(monkeypatch):
    monkeypatch.setattr(probes, "_token", probes._Kept())


def post(browser: Browser, path: str, **headers: str):
    token = browser.cookies.get("csrftoken")
    return browser.post(path, headers={"X-CSRFToken": token.value if token else "", **headers})


class TestProbes:
    def test_alive_needs_nothing(self, client):
        assert client.get("/healthz").json() == {"status": "ok"}

    def test_ready_when_everything_is_there(self, client, gitlab, token_asked_afresh):
        answer = client.get("/readyz")
        assert answer.json()["checks"] == dict.fromkeys(probes.PROBES, "ok")
        assert answer.status_code == 200

    def test_gitlab_is_asked_once_a_minute(self, client, gitlab, token_asked_afresh):
        for _ in range(5):
            client.get("/readyz")
        assert gitlab.asked.count("/personal_access_tokens/self") == 1

    def test_a_missing_scope_is_named(self, client, gitlab, token_asked_afresh):
        gitlab["/personal_access_tokens/self"] = {"scopes": ["read_user"]}
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["gitlab"] == "GITLAB_API_TOKEN lacks the scope read_api."

    def test_status_names_a_missing_scope_too(self, client, gitlab, token_asked_afresh):
        assert client.get("/status").json()["token"] == "ok"
        probes._token.asked_at = -probes.TOKEN_KEPT_S
        gitlab["/personal_access_tokens/self"] = {"scopes": ["read_user"]}
        assert client.get("/status").json()["token"] == "GITLAB_API_TOKEN lacks the scope read_api."

    def test_a_refused_token_is_said(self, client, gitlab, settings, token_asked_afresh):
        settings.GITLAB_TOKEN = "expired-secret"
        text = client.get("/readyz").content.decode()
        assert "GITLAB_API_TOKEN" in text
        assert "expired-secret" not in text

    def test_a_missing_address_is_said(self, client, settings, broker, token_asked_afresh):
        settings.GITLAB_URL = settings.GITLAB_TOKEN = ""
        told = client.get("/readyz").json()["checks"]["gitlab"]
        assert "GITLAB_API_URL" in told
        assert "GITLAB_API_TOKEN" in told


class TestStatus:
    def test_an_empty_installation_has_a_status(self, client, broker):
        told = client.get("/status").json()
        assert told["runs"] == dict.fromkeys(pipeline.PLANS)
        assert set(told["next"]) == {"weekly", "nightly", "incremental"}
        assert told["queues"] == {"collect": 0, "compute": 0, "export": 0, "ops": 0}

    def test_names_and_reasons_are_for_staff(self, client, staff, broker):
        Run.objects.create(kind="nightly", slot="x", state="failed", reason="toman/secret", requested_at=NOW)
        assert "toman/secret" not in client.get("/status").content.decode()
        assert staff.get("/status").json()["runs"]["nightly"]["reason"] == "toman/secret"


class TestTheCollection:
    """What `/status` says of GitLab and of how well it is read."""

    def test_nothing_is_made_up_before_the_first_run(self, client, broker):
        told = client.get("/status").json()
        assert told["gitlab"] is None
        assert told["lag"] == {}
        assert told["quarantine"] == {"rows": 0, "by_table": {}, "asked_again": 0}
        assert told["webhooks"] == {"on": False, "waiting": 0}
        assert told["requests"]["breaker"] == "closed"

    def test_a_collection_shows(self, client, gitlab):
        began = clock.now()
        drain(pipeline.start("backfill", slot="x", now=began, days=10))
        told = client.get("/status").json()
        assert told["gitlab"]["version"] == "17.0.0"
        assert told["gitlab"]["tier"] == "free"
        assert told["gitlab"]["routes"]["merge_request_details"] == {"graphql": "closed", "rest": "open"}
        assert told["gitlab"]["routes"]["issues"] == {"rest": "open"}
        assert told["requests"]["used"] >= 20
        assert told["requests"]["refused_429"] == 0
        assert told["lag"]["merge_requests"]["unread"] == 0
        assert not {"merge_request_details", "branches", "commits"} & set(told["lag"])
        assert told["lag"]["merge_requests"]["lag_s"] in range(600, 660)  # the overlap

    def test_the_oldest_watermark_of_those_that_are_collected_counts(self, client, broker):
        for number, hours in ((1, 1), (2, 5), (3, 50), (4, 80), (5, 99), (6, 7)):
            project(project_id=number, path_with_namespace=f"toman/{number}", in_scope=number != 4)
            mark = Mark.of(level="project", level_id=number, entity="issues")
            mark.finish({}, history=NOW, started=clock.now() - dt.timedelta(hours=hours))
        exclude(3, reason="archived", detail="", now=NOW)
        exclude(6, reason="failed", detail="", now=NOW)
        Mark.of(level="project", level_id=5, entity="issues").refuse("feature_disabled")
        Mark.of(level="project", level_id=1, entity="releases").reach({}, history=NOW, started=NOW)
        lag = client.get("/status").json()["lag"]
        assert lag["issues"]["lag_s"] in range(7 * 3600 + 600, 7 * 3600 + 660)
        assert lag["releases"] == {"oldest": None, "lag_s": None, "unread": 1}

    def test_routes_say_to_staff_what_stands_in_their_way(self, client, staff, broker):
        server = Server.objects.create(
            url="http://g", enterprise=True, probed_at=NOW,
            fields={"MergeRequest": ["notes", "approvalsRequired"], "Pipeline": ["jobs"],
                    "CiJob": ["retried", "needs", "schedulingType"]},
        )  # fmt: skip
        Abilities(server).remember_refusal("pipeline_details", "graphql", "toman/secret: too complex")
        told = staff.get("/status").json()["gitlab"]
        assert told["tier"] == "paid"
        assert told["routes"]["pipeline_details"]["graphql"] == "toman/secret: too complex"
        assert "MergeRequest.commits" in told["routes"]["merge_request_details"]["graphql"]
        assert "MergeRequest.notes" not in told["routes"]["merge_request_details"]["graphql"]
        assert "toman/secret" not in client.get("/status").content.decode()

    @pytest.mark.parametrize(
        ("enterprise", "fields", "tier"),
        [
            (False, {"MergeRequest": ["approvalsRequired"]}, "free"),
            (True, {"MergeRequest": ["notes"]}, "free"),
            (None, {"MergeRequest": ["approvalsRequired"]}, "paid"),
            (None, {}, None),
            (True, {}, None),
        ],
    )
    def test_the_tier_is_told_by_what_the_server_knows(self, enterprise, fields, tier):
        server = Server(url="http://g", enterprise=enterprise, probed_at=NOW, fields=fields)
        assert Abilities(server).tier == tier

    def test_the_quarantine_and_hints_are_counted(self, client, broker, settings):
        settings.TEM_WEBHOOK_TOKEN = "t"
        project()
        kept = {"project_id": 7, "entity": "raw_mr", "reason": "r", "first_seen_at": NOW}
        for number in range(3):
            Quarantine.objects.create(**kept, payload_hash=str(number))
        Quarantine.objects.filter(payload_hash="1").update(asked_again_at=NOW)
        mark_dirty(Event("push", 7), now=NOW)
        told = client.get("/status").json()
        assert told["quarantine"] == {"rows": 3, "by_table": {"raw_mr": 3}, "asked_again": 1}
        assert told["webhooks"] == {"on": True, "waiting": 3}


class TestOpening:
    def test_strangers_open_nothing(self, client, broker):
        answer = client.post("/runs/backfill?days=3")
        assert answer.status_code in (401, 403)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not Run.objects.exists()

    def test_users_that_are_no_staff_open_nothing(self, client, broker, django_user_model):
        client.force_login(django_user_model.objects.create_user("ann"))
        assert client.post("/runs/backfill").status_code == 403
        assert not Run.objects.exists()

    def test_a_forged_request_opens_nothing(self, staff, broker):
        answer = staff.post("/runs/backfill?days=3")
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not Run.objects.exists()

    def test_staff_open_a_run(self, staff, broker):
        answer = post(staff, "/runs/backfill?days=3")
        assert answer.status_code == 202, answer.content
        run = Run.objects.get()
        assert answer.headers["Location"] == f"/runs/{run.pk}"
        assert answer.json()["joined"] is False
        assert staff.get(f"/runs/{run.pk}").json()["phases"] == {
            "discover": {"total": 1, "done": 0, "left_out": 0}
        }

    def test_the_same_key_answers_the_same_run(self, staff, broker):
        answers = [post(staff, "/runs/backfill?days=3", **{"Idempotency-Key": "k"}) for _ in range(2)]
        assert answers[0].json()["id"] == answers[1].json()["id"]
        assert Run.objects.count() == 1

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("/runs/backfill?days=0", "from 1 to 730"),
            ("/runs/backfill?days=many", "days"),
            ("/runs/incremental?days=3", "unknown parameters: days"),
            ("/runs/recompute?from=2025-13-01", "from"),
            ("/runs/recompute", "run a backfill first"),
        ],
    )
    def test_a_bad_request_is_explained(self, staff, broker, path, words):
        answer = post(staff, path)
        assert answer.status_code == 400
        assert words in answer.json()["detail"]
        assert not Run.objects.exists()

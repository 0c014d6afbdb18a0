"""What probes and operators are told, and who may start something."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.utils.crypto import get_random_string

from apps.runs.models import Run
from tem import clock, probes

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
        assert told["runs"] == dict.fromkeys(["backfill", "nightly", "weekly", "incremental", "recompute"])
        assert set(told["next"]) == {"weekly", "nightly", "incremental"}
        assert told["queues"] == {"collect": 0, "compute": 0, "export": 0, "ops": 0}

    def test_names_and_reasons_are_for_staff(self, client, staff, broker):
        Run.objects.create(kind="nightly", slot="x", state="failed", reason="toman/secret", requested_at=NOW)
        assert "toman/secret" not in client.get("/status").content.decode()
        assert staff.get("/status").json()["runs"]["nightly"]["reason"] == "toman/secret"


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

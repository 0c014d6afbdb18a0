"""Whole runs cancelled and retried, and the doors to it: all of them call the one service."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from apps.collector.models import Exclusion, RawPipeline
from apps.runs import ledger
from apps.runs.models import Run, RunAction, RunStep
from tem import clock, controls, pipeline
from tests.runs.gate import drain
from tests.runs.test_kill import HASH_KEY, content, differing
from tests.runs.test_ops import post, staff

__all__ = ["staff"]  # a fixture
HELD_AT = "/projects/102/pipelines"


def backfill(slot: str = "x") -> Run:
    return pipeline.start("backfill", slot=slot, now=clock.now(), days=3)


def do(run: Run, *phases: str) -> None:
    """Do the run's steps of these phases, in this order."""
    for phase in phases:
        for step in RunStep.objects.filter(run=run, phase=phase, state="pending"):
            pipeline.DOORS[phase].task(run_id=run.pk, step_id=step.pk)


def lose(run: Run, project: int) -> RunStep:
    """Have the project's collection kill its fifth worker."""
    step = RunStep.objects.filter(run=run, phase="collect", project_id=project)
    step.update(attempt=ledger.ATTEMPTS - 1)
    ledger.claim(step.get().pk, now=clock.now() - 2 * ledger.LEASE)
    pipeline.reconcile_now()
    return step.get()


def tables() -> dict[str, list[str]]:
    def ask(question: str) -> list[tuple]:
        with connection.cursor() as sql:
            sql.execute(question)
            return sql.fetchall()

    newest = "select distinct on (day, format) day, format, content_sha256 from artifact"
    files = ask(f"{newest} order by 1, 2, version desc")
    return {**content(ask), "files": [str(row) for row in files]}


@pytest.mark.django_db
def test_a_quarantined_project_retried_leaves_what_an_undisturbed_run_leaves(
    gitlab, settings, tmp_path: Path
):
    settings.TEM_EMAIL_HASH_KEY = HASH_KEY
    with transaction.atomic():
        assert drain(backfill()).state == "done"
        undisturbed = tables()
        transaction.set_rollback(True)
    settings.TEM_EXPORT_DIR = tmp_path / "again"

    run = backfill()
    do(run, "discover", "place")
    lost = lose(run, 102)
    assert (drain(run).state, Exclusion.objects.get().project_id) == ("partial", 102)
    assert differing(tables(), undisturbed) != {}

    order = controls.order("ann", now=clock.now())
    assert controls.retry(run.pk, order=order, cause="WorkerStopped").steps == [lost.pk]
    run = drain(run)
    assert (run.state, run.reason, Exclusion.objects.count()) == ("done", "", 0)
    assert differing(tables(), undisturbed) == {}


@pytest.mark.django_db(transaction=True)
def test_a_worker_amid_a_step_of_a_cancelled_run_stores_nothing_more(world, gitlab):
    run = backfill()
    do(run, "discover", "place")
    world.at = HELD_AT
    step = RunStep.objects.get(run=run, phase="collect", project_id=102)

    def work() -> None:
        try:
            pipeline.DOORS["collect"].task(run_id=run.pk, step_id=step.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert world.reached.wait(timeout=30)
        controls.cancel(run.pk, order=controls.order("ann", now=clock.now()))
    finally:
        world.open()
        worker.join()
    step.refresh_from_db()
    run.refresh_from_db()
    assert (run.state, step.state, step.error_class) == ("cancelled", "failed", "RunEnded")
    assert not RawPipeline.objects.exists()
    assert backfill("next").joined is False


@pytest.fixture
def partial(broker, db) -> Run:
    """A run that ended without one of its projects."""
    run = Run.objects.create(
        kind="nightly", slot="x", state="partial", phase="check", requested_at=clock.now(),
        finished_at=clock.now(), parameters={"first": "2025-01-01", "last": "2025-01-02", "scheduled": True},
    )  # fmt: skip
    RunStep.objects.create(run=run, phase="collect", project_id=1, state="done")
    RunStep.objects.create(
        run=run,
        phase="collect",
        project_id=2,
        state="quarantined",
        error_class="ValueError",
        error_text="bad row",
    )
    return run


class TestTheApi:
    def test_a_retry_is_accepted_and_says_what_it_did(self, staff, partial):
        answer = post(staff, f"/runs/{partial.pk}/retry?cause=ValueError")
        assert (answer.status_code, answer.headers["Location"]) == (202, f"/runs/{partial.pk}")
        lost = partial.steps.get(project_id=2)
        assert (lost.state, answer.json()["action"]["steps"]) == ("pending", [lost.pk])
        assert RunAction.objects.get().who == "admin"
        partial.refresh_from_db()
        assert partial.parameters["today"] == clock.day_of(clock.now()).isoformat()

    def test_the_body_is_read_as_well(self, staff, partial):
        token = staff.cookies["csrftoken"].value
        path = f"/runs/{partial.pk}/retry"
        told = {"content_type": "application/json", "headers": {"X-CSRFToken": token}}
        assert staff.post(path, {"cause": "KeyError"}, **told).json()["action"]["steps"] == []
        assert staff.post(path, {"step": partial.steps.get(project_id=2).pk}, **told).json()["action"][
            "steps"
        ]

    def test_a_cancel_sent_twice_is_one(self, staff, partial):
        Run.objects.filter(pk=partial.pk).update(state="active")
        answers = [post(staff, f"/runs/{partial.pk}/cancel", **{"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].json() == answers[1].json()
        assert (answers[0].json()["state"], RunAction.objects.count()) == ("cancelled", 1)

    def test_what_cannot_be_is_a_conflict(self, staff, partial):
        Run.objects.create(kind="nightly", slot="y", state="active", requested_at=clock.now())
        answer = post(staff, f"/runs/{partial.pk}/retry")
        assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
        assert "under way, run" in answer.json()["detail"]
        assert post(staff, f"/runs/{partial.pk}/cancel").status_code == 409

    @pytest.mark.parametrize(
        ("words", "status"),
        [
            ("retry?step=first", 400),
            ("retry?cause=%00", 400),
            ("retry?days=3", 400),
            ("cancel?cause=x", 400),
            ("retry?step=99999999999999999999999", 409),
        ],
    )
    def test_a_bad_request_is_explained(self, staff, partial, words, status):
        answer = post(staff, f"/runs/{partial.pk}/{words}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert not RunAction.objects.exists()

    def test_a_key_without_end_is_refused(self, staff, partial):
        assert post(staff, f"/runs/{partial.pk}/retry", **{"Idempotency-Key": "k" * 59}).status_code == 400

    def test_strangers_and_forgers_steer_nothing(self, client, staff, partial):
        for door in ("cancel", "retry"):
            assert client.post(f"/runs/{partial.pk}/{door}").status_code in (401, 403)
            assert staff.post(f"/runs/{partial.pk}/{door}").status_code == 403
        assert post(staff, "/runs/999999/retry").status_code == 404
        assert not RunAction.objects.exists()

    def test_a_key_is_answered_with_the_run_that_it_joined_when_that_is_over(self, staff, broker, db):
        first = backfill()
        keyed = {"Idempotency-Key": "k"}
        assert post(staff, "/runs/backfill?days=3", **keyed).json()["id"] == first.pk
        controls.cancel(first.pk, order=controls.order("ann", now=clock.now()))
        assert post(staff, "/runs/backfill?days=3", **keyed).json()["id"] == first.pk
        assert post(staff, "/runs/incremental", **keyed).status_code == 409
        assert RunAction.objects.filter(what="start").count() == 1


class TestCommands:
    def said(self, *words: str) -> str:
        out = io.StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    def test_retry_and_cancel_say_what_they_did(self, partial):
        lost = partial.steps.get(project_id=2)
        assert "1 step to try again" in self.said("retry", str(partial.pk), "--step", str(lost.pk))
        assert "is cancelled: " in self.said("cancel", str(partial.pk))
        assert "to try again" in self.said("retry", str(partial.pk), "--cause", "RunEnded")
        assert all(action.who.endswith(" at a terminal") for action in RunAction.objects.all())

    @pytest.mark.parametrize(
        "words", [("cancel", "{run}"), ("retry", "{run}", "--step", "1"), ("retry", "99999")]
    )
    def test_a_refusal_leaves_with_two(self, partial, words):
        with pytest.raises(CommandError) as refusal:
            self.said(*(word.format(run=partial.pk) for word in words))
        assert refusal.value.returncode == 2

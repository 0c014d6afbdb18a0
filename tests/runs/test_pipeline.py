"""Whole runs, driven step by step in this process: every end that a run can come to."""

from __future__ import annotations

import datetime as dt

import pytest

from apps.collector.client import Client
from apps.collector.errors import GitlabUnavailable, OutOfBudget
from apps.collector.models import Exclusion, RawMergeRequest, Server
from apps.runs import ledger
from apps.runs.models import Run, RunStep
from apps.runs.phases import end_run
from tem import clock, hints, history, pipeline
from tem import steps as tem_steps
from tem.celery import app
from tem.history import BadRequest, NoHistory, Span
from tests.runs.gate import drain

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def today() -> dt.date:
    return clock.day_of(clock.now())


def start(kind: str = "backfill", **asked) -> Run:
    asked = {"days": 10} if kind == "backfill" and not asked else asked
    return pipeline.start(kind, slot=f"{kind} {Run.objects.count()}", now=clock.now(), **asked)


def states(run: Run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for phase, state in RunStep.objects.filter(run=run).values_list("phase", "state"):
        found.setdefault(phase, set()).add(state)
    return found


def close(world, project: int) -> None:
    """From now on GitLab knows nothing of the project, but still lists it."""
    for path in [path for path in world if path.startswith(f"/projects/{project}")]:
        del world[path]


class TestEnds:
    def test_a_backfill_goes_through_every_phase(self, gitlab):
        run = drain(start())
        assert (run.state, run.reason) == ("done", "")
        nobody_to_link = "link"
        phases = [phase.name for phase in pipeline.PLANS["backfill"] if phase.name != nobody_to_link]
        assert list(states(run)) == phases
        assert RawMergeRequest.objects.count() == 7
        assert history.start() == today() - 10 * DAY
        assert run.summary["requests"] > 10

    def test_a_refused_token_fails_the_run_and_says_which(self, gitlab, settings):
        settings.GITLAB_TOKEN = "expired"
        run = drain(start())
        assert run.state == "failed"
        assert "GITLAB_API_TOKEN" in run.reason
        assert not RunStep.objects.filter(state__in=["pending", "leased"]).exists()

    def test_a_token_revoked_midway_fails_the_run(self, gitlab, settings):
        run = start()
        for phase in ("discover", "place"):
            step = RunStep.objects.get(run=run, phase=phase)
            pipeline.DOORS[phase].task(run_id=run.pk, step_id=step.pk)
        settings.GITLAB_TOKEN = "revoked"
        run = drain(run)
        assert (run.state, states(run)["collect"]) == ("failed", {"failed"})

    def test_a_closed_project_is_left_out_and_named(self, gitlab):
        close(gitlab, 103)
        run = drain(start())
        assert run.state == "partial"
        assert run.reason.startswith("1 project was left out. toman/c-side/app/shop: ")
        assert Exclusion.objects.get().reason == "no_access"
        assert RawMergeRequest.objects.exists()
        assert states(run)["check"] == {"done"}

    def test_groups_that_nobody_may_see_fail_the_run(self, gitlab):
        for path in [path for path in gitlab if path.startswith("/groups/")]:
            del gitlab[path]
        run = drain(start())
        assert run.state == "failed"
        assert "root groups" in run.reason

    def test_a_gitlab_that_is_not_there_fails_the_run_at_the_second_try(self, gitlab, settings, monkeypatch):
        monkeypatch.setitem(Client.__init__.__kwdefaults__, "patience_s", 0.0)
        settings.GITLAB_URL = "http://127.0.0.1:9"
        run = drain(start())
        assert run.state == "active"
        RunStep.objects.update(not_before=None)
        run = drain(run)
        assert run.state == "failed"
        assert "nobody listens there" in run.reason

    def test_a_second_request_joins(self, gitlab):
        first, second = start(), start()
        assert (second.pk, second.joined) == (first.pk, True)

    def test_what_was_done_is_not_done_again(self, gitlab):
        run = start()
        drain(run)
        asked = len(gitlab.asked)
        for step in RunStep.objects.filter(run=run):
            pipeline.DOORS[step.phase].task(run_id=run.pk, step_id=step.pk)
        assert len(gitlab.asked) == asked


def a_claim(run: Run) -> ledger.Claim:
    step = RunStep.objects.create(run=run, phase="collect", project_id=7, label="toman/a")
    found = ledger.claim(step.pk, now=clock.now())
    assert found
    return found


class TestAttempts:
    """How an attempt ends is decided by what the work raises."""

    def tried(self, error: Exception, *, scheduled: bool = False, saved: bool = False) -> RunStep:
        run = ledger.open_run("backfill", slot="x", parameters={"scheduled": scheduled}, now=clock.now())

        def work(step: ledger.Claim) -> None:
            if saved:
                step.save(rows=1)
            raise error

        claim = a_claim(run)
        tem_steps.attempt(claim, work)
        return RunStep.objects.get(pk=claim.step_id)

    def wait_s(self, step: RunStep) -> float:
        assert step.not_before
        return (step.not_before - clock.now()).total_seconds()

    def test_an_unavailable_gitlab_is_waited_for_as_long_as_it_asks(self):
        step = self.tried(GitlabUnavailable("busy", retry_after_s=120))
        assert (step.state, step.attempt, step.error_class) == ("pending", 1, "GitlabUnavailable")
        assert 110 < self.wait_s(step) <= 120

    def test_a_run_by_schedule_has_more_patience(self):
        assert self.wait_s(self.tried(GitlabUnavailable("busy", retry_after_s=1), scheduled=True)) > 50

    def test_waiting_for_the_budget_costs_no_attempt(self):
        step = self.tried(OutOfBudget("used up", retry_after_s=120))
        assert (step.state, step.attempt, step.error_class) == ("pending", 0, "OutOfBudget")
        assert 110 < self.wait_s(step) <= 120

    def test_waiting_after_some_pages_costs_no_attempt(self):
        assert self.tried(GitlabUnavailable("busy", retry_after_s=1), saved=True).attempt == 0

    def test_something_unforeseen_is_tried_again_soon(self):
        step = self.tried(ZeroDivisionError("division by zero"))
        assert (step.state, step.error_text) == ("pending", "division by zero")
        assert 0 < self.wait_s(step) <= 2

    def test_a_discovery_that_finds_no_gitlab_gives_up_when_somebody_waits(self):
        run = ledger.open_run("backfill", slot="x", parameters={"scheduled": False}, now=clock.now())
        RunStep.objects.create(run=run, phase="discover", attempt=1)
        claim = ledger.claim(RunStep.objects.get().pk, now=clock.now())

        def work(step: ledger.Claim) -> None:
            raise GitlabUnavailable("connection refused", retry_after_s=30)

        tem_steps.attempt(claim, work)
        assert RunStep.objects.get().state == "failed"


def test_a_project_that_killed_five_workers_is_quarantined_and_the_run_partial(gitlab):
    run = start()
    for phase in ("discover", "place"):
        step = RunStep.objects.get(run=run, phase=phase)
        pipeline.DOORS[phase].task(run_id=run.pk, step_id=step.pk)
    lost = RunStep.objects.filter(run=run, phase="collect", project_id=103)
    lost.update(attempt=ledger.ATTEMPTS - 1)
    ledger.claim(lost.get().pk, now=clock.now() - 2 * ledger.LEASE)
    pipeline.reconcile_now()
    run = drain(run)
    assert run.state == "partial"
    assert run.reason.startswith("1 project was left out. toman/c-side/app/shop: its worker stopped")
    assert Exclusion.objects.get().reason == "quarantined"


class TestWindows:
    def test_an_increment_folds_from_the_first_change_on(self, gitlab):
        drain(start())
        run = drain(start("incremental"))
        assert run.state == "done"
        folded = Span.of(RunStep.objects.get(run=run, phase="roll_up").cursor)
        assert folded == Span(today() - DAY, today())
        assert "export" not in states(run)

    def test_a_nightly_folds_all_of_history_and_exports_it(self, gitlab):
        drain(start())
        run = drain(start("nightly"))
        assert Span.of(RunStep.objects.get(run=run, phase="roll_up").cursor) == Span(
            today() - 10 * DAY, today()
        )

    def test_a_recompute_asks_gitlab_nothing(self, gitlab):
        drain(start())
        asked = len(gitlab.asked)
        run = drain(start("recompute", first=today() - 3 * DAY, last=today() - 2 * DAY))
        assert run.state == "done"
        assert len(gitlab.asked) == asked

    def test_days_that_a_failed_run_left_behind_are_folded_by_the_next(self, gitlab):
        drain(start())
        failed = Run.objects.create(kind="incremental", slot="lost", state="failed", requested_at=clock.now())
        left = Span(today() - 5 * DAY, today() - 4 * DAY).as_cursor()
        RunStep.objects.create(run=failed, phase="compute", project_id=7, state="done", cursor=left)
        run = drain(start("incremental"))
        assert Span.of(RunStep.objects.get(run=run, phase="roll_up").cursor).first == today() - 5 * DAY
        assert RunStep.objects.get(run=failed).cursor == {}

    @pytest.mark.parametrize("days", [0, 731, -5])
    def test_a_backfill_is_from_one_day_to_two_years(self, days):
        with pytest.raises(BadRequest, match="from 1 to 730"):
            start(days=days)

    def test_a_recompute_needs_a_history(self):
        with pytest.raises(NoHistory):
            start("recompute")

    @pytest.mark.parametrize(
        ("first", "last", "words"),
        [(0, -1, "lies after"), (0, 2, "in the future"), (-50, -40, "history begins")],
    )
    def test_a_recompute_keeps_within_history(self, first, last, words):
        Server.objects.create(
            url="x", probed_at=clock.now(), history_since=clock.midnight(today() - 10 * DAY)
        )
        with pytest.raises(BadRequest, match=words):
            start("recompute", first=today() + first * DAY, last=today() + last * DAY)


class TestSchedule:
    def test_nothing_is_opened_before_there_is_a_history(self, broker):
        pipeline.ensure_runs(now=clock.now())
        assert not Run.objects.exists()

    def test_what_is_due_is_opened_once(self, broker):
        Server.objects.create(
            url="x", probed_at=clock.now(), history_since=clock.midnight(today() - 10 * DAY)
        )
        for _ in range(3):
            pipeline.ensure_runs(now=clock.now())
        run = Run.objects.get()  # the hourly and the nightly run yield to the weekly one
        assert (run.kind, run.parameters["scheduled"]) == ("weekly", True)


class TestHints:
    def count(self, queue: str) -> int:
        with app.connection_for_read() as link:
            return hints.waiting(queue, link=link)

    def empty(self) -> None:
        """What FLUSHALL would leave of our messages."""
        with app.connection_for_write() as link:
            link.default_channel.queue_purge("collect")

    def test_a_run_that_was_opened_is_hinted_at(self, gitlab):
        start()
        assert self.count("collect") == 1

    def test_lost_hints_are_sent_again(self, gitlab):
        run = start()
        self.empty()
        pipeline.reconcile_now()
        assert self.count("collect") == 0  # too early to call them lost
        RunStep.objects.update(hinted_at=clock.now() - dt.timedelta(seconds=11))
        pipeline.reconcile_now()
        assert self.count("collect") == 1
        assert drain(run).state == "done"

    def test_hints_that_still_wait_are_not_doubled(self, gitlab):
        start()
        RunStep.objects.update(hinted_at=clock.now() - dt.timedelta(seconds=11))
        pipeline.reconcile_now()
        assert self.count("collect") == 1

    def test_without_a_broker_steps_wait_in_the_ledger(self, gitlab, monkeypatch):
        monkeypatch.setitem(app.conf.changes, "broker_url", "redis://127.0.0.1:9/0")
        app._after_fork()
        run = start()
        assert run.steps.get().state == "pending"

    def test_a_run_that_ended_is_not_hinted_at(self, gitlab):
        run = start()
        end_run(run.pk, state=Run.State.FAILED, reason="x", now=clock.now())
        self.empty()
        pipeline.reconcile_now()
        assert self.count("collect") == 0

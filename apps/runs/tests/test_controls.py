"""Cancelling and retrying: what the ledger does, and what it refuses."""

import datetime as dt
import threading

import pytest
from django.db import connection

from apps.runs import controls
from apps.runs.controls import Order
from apps.runs.errors import LostClaim, NotNow
from apps.runs.ledger import ATTEMPTS, claim, finish, open_run
from apps.runs.models import Run, RunAction
from apps.runs.phases import Phase, advance, end_run
from apps.runs.slots import UNDONE

NOW = dt.datetime(2025, 6, 10, 5, 40, tzinfo=dt.UTC)
PLAN = (
    Phase("discover"),
    Phase("collect", projects=lambda: {1: "toman/a", 2: "toman/b", 3: "toman/c"}),
    Phase("compute", follows="collect"),
    Phase("link", projects=lambda: {1: "toman/a"}),
    Phase("roll_up"),
)


def asks(key: str = "k", who: str = "ann") -> Order:
    return Order(who=who, key=key, now=NOW)


def a_run(kind: str = "backfill", slot: str = "one") -> Run:
    run = open_run(kind, slot=slot, parameters={"today": "2025-06-01"}, now=NOW)
    advance(run.pk, plan=PLAN, now=NOW)
    return run


def work(run: Run, *, broken: dict[tuple[str, int | None], str] | None = None) -> Run:
    """Do every step that is due; those in `broken`, by phase and project, are lost to the cause given."""
    while step := run.steps.filter(state="pending").order_by("pk").first():
        if cause := (broken or {}).get((step.phase, step.project_id)):
            lost = {"state": "quarantined", "attempt": ATTEMPTS, "error_class": cause, "error_text": "broken"}
            run.steps.filter(pk=step.pk).update(**lost)
        else:
            held = claim(step.pk, now=NOW)
            held.save(rows=10, cursor={"page": 3})
            finish(held, cursor=None, now=NOW)
        advance(run.pk, plan=PLAN, now=NOW)
    run.refresh_from_db()
    return run


def done(run: Run) -> dict[str, list[int | None]]:
    """By phase the projects whose steps are done."""
    found: dict[str, list[int | None]] = {}
    for phase, project in run.steps.filter(state="done").order_by("pk").values_list("phase", "project_id"):
        found.setdefault(phase, []).append(project)
    return found


def retry(run: Run, key: str = "r", **more) -> RunAction:
    return controls.retry(run.pk, plan=PLAN, order=asks(key), **more)


@pytest.mark.django_db
class TestCancelling:
    def test_a_worker_that_holds_a_step_is_refused_its_next_write(self):
        run = a_run()
        held = claim(run.steps.get().pk, now=NOW)
        action = controls.cancel(run.pk, order=asks())
        run.refresh_from_db()
        assert (run.state, run.reason, run.finished_at) == ("cancelled", "cancelled by ann", NOW)
        assert action.answer == f"Run {run.pk} is cancelled: 1 step ended with it."
        with pytest.raises(LostClaim):
            held.save(rows=1)
        with pytest.raises(LostClaim):
            finish(held, cursor=None, now=NOW)

    def test_the_next_run_of_the_kind_can_open_and_write_at_once(self):
        claim(a_run(slot="one").steps.get().pk, now=NOW)
        controls.cancel(Run.objects.get().pk, order=asks())
        later = a_run(slot="two")
        assert later.joined is False
        assert claim(later.steps.get().pk, now=NOW) is not None

    def test_a_run_cancelled_twice_stays_as_the_first_left_it(self):
        run = a_run()
        controls.cancel(run.pk, order=asks("one"))
        again = controls.cancel(run.pk, order=asks("two", who="bob"))
        run.refresh_from_db()
        assert (again.steps, again.answer) == ([], f"Run {run.pk} was cancelled already.")
        assert run.reason == "cancelled by ann"

    def test_a_run_that_is_done_cannot_be_cancelled(self):
        run = work(a_run())
        with pytest.raises(NotNow, match="is over: done"):
            controls.cancel(run.pk, order=asks())
        assert not RunAction.objects.exists()

    def test_a_cancelled_run_did_no_slots_work(self):
        assert Run.State.CANCELLED in UNDONE


@pytest.mark.django_db
class TestRetrying:
    def test_the_run_is_the_same_and_ends_done_with_its_work_kept(self):
        run = work(a_run(), broken={("collect", 2): "ValueError", ("compute", 3): "KeyError"})
        assert run.state == "partial"
        action = retry(run)
        run.refresh_from_db()
        assert (run.state, run.phase, run.reason, run.finished_at) == ("active", "collect", "", None)
        assert len(action.steps) == 2
        run = work(run)
        assert run.state == "done"
        assert done(run) == {
            "discover": [None],
            "collect": [1, 2, 3],
            "compute": [1, 3, 2],
            "link": [1],
            "roll_up": [None],
        }
        fences = dict(
            run.steps.filter(phase__in=["collect", "compute"], project_id=1).values_list("phase", "fence")
        )
        assert fences == {"collect": 1, "compute": 1}, "what was done was not done again"
        assert run.summary["left_out"] == []

    def test_what_comes_after_is_done_again_but_not_before_its_turn(self):
        run = work(a_run(), broken={("collect", 2): "ValueError"})
        rolled_up = run.steps.get(phase="roll_up").fence
        retry(run)
        states = dict(run.steps.exclude(state="done").values_list("phase", "state"))
        assert states == {"collect": "pending", "link": "waiting", "roll_up": "waiting"}
        work(run)
        assert run.steps.get(phase="roll_up").fence > rolled_up + 1

    def test_days_that_no_roll_up_saw_are_not_forgotten(self):
        run = work(a_run(), broken={("collect", 2): "ValueError", ("roll_up", None): "DiskFull"})
        assert run.state == "failed"
        retry(run)
        assert run.steps.get(phase="link").cursor == {"page": 3}

    def test_a_retried_step_has_all_its_attempts_and_goes_on_where_it_stood(self):
        run = work(a_run(), broken={("collect", 2): "ValueError"})
        run.steps.filter(project_id=2).update(cursor={"page": 7}, rows=70)
        retry(run)
        step = run.steps.get(phase="collect", project_id=2)
        assert (step.attempt, step.cursor, step.rows, step.error_class) == (0, {"page": 7}, 70, "")

    def test_one_cause_leaves_the_others(self):
        broken = {("collect", 1): "GitlabRefused", ("collect", 2): "ValueError", ("compute", 3): "ValueError"}
        run = work(a_run(), broken=broken)
        retry(run, cause="ValueError")
        run = work(run)
        assert (run.state, [step.project_id for step in run.steps.filter(state="quarantined")]) == (
            "partial",
            [1],
        )

    def test_one_step_leaves_the_others(self):
        run = work(a_run(), broken={("collect", 1): "ValueError", ("collect", 2): "ValueError"})
        step = run.steps.get(phase="collect", project_id=2)
        assert retry(run, step_id=step.pk).steps == [step.pk]
        assert work(run).summary["left_out"] == [{"project_id": 1, "path": "toman/a", "reason": "broken"}]

    def test_a_step_lost_in_a_run_under_way_is_taken_back_without_moving_the_run(self):
        run = a_run()
        finish(claim(run.steps.get().pk, now=NOW), cursor=None, now=NOW)
        advance(run.pk, plan=PLAN, now=NOW)
        run.steps.filter(project_id=2).update(state="failed", error_class="ValueError")
        retry(run)
        run.refresh_from_db()
        assert (run.state, run.phase) == ("active", "collect")
        assert work(run).state == "done"

    def test_a_cancelled_run_goes_on(self):
        run = a_run()
        controls.cancel(run.pk, order=asks())
        retry(run, renewed={"today": "2025-06-10"})
        run = work(run)
        assert (run.state, run.parameters) == ("done", {"today": "2025-06-10"})

    def test_another_run_of_the_kind_stands_in_the_way(self):
        run = work(a_run(), broken={("collect", 2): "ValueError"})
        other = a_run(slot="two")
        with pytest.raises(NotNow, match=f"under way, run {other.pk}:"):
            retry(run)
        run.refresh_from_db()
        assert (run.state, RunAction.objects.count()) == ("partial", 0)
        end_run(other.pk, state=Run.State.DONE, reason="", now=NOW)
        assert retry(run).steps

    def test_nothing_to_retry_is_said(self):
        run = work(a_run())
        assert retry(run).answer == f"Run {run.pk} has nothing to retry."
        run.refresh_from_db()
        assert run.state == "done"

    def test_a_step_of_another_run_is_refused(self):
        run, other = a_run(), a_run("nightly")
        with pytest.raises(NotNow, match="has no step"):
            retry(run, step_id=other.steps.get().pk)

    def test_causes_are_counted(self):
        broken = {("collect", 1): "ValueError", ("collect", 2): "ValueError", ("compute", 3): "KeyError"}
        found = controls.causes(work(a_run(), broken=broken))
        assert [(group["error_class"], group["phase"], group["steps"]) for group in found] == [
            ("ValueError", "collect", 2),
            ("KeyError", "compute", 1),
        ]
        assert found[0]["example"] == "broken"


@pytest.mark.django_db
class TestKeys:
    def test_the_same_key_does_and_says_the_same(self):
        run = work(a_run(), broken={("collect", 2): "ValueError"})
        first = retry(run)
        work(run, broken={("collect", 2): "ValueError"})
        second = retry(run)
        run.refresh_from_db()
        assert (second.pk, second.answer, run.state) == (first.pk, first.answer, "partial")
        assert RunAction.objects.count() == 1

    def test_a_key_is_not_taken_for_something_else(self):
        run = work(a_run(), broken={("collect", 2): "ValueError"})
        retry(run)
        with pytest.raises(NotNow, match="used for another request"):
            retry(run, cause="ValueError")
        with pytest.raises(NotNow, match="used for another request"):
            controls.cancel(run.pk, order=asks("r"))

    def test_what_was_asked_is_kept(self):
        run = work(a_run(), broken={("collect", 2): "ValueError"})
        retry(run, cause="ValueError")
        kept = RunAction.objects.get()
        lost = run.steps.get(phase="collect", project_id=2).pk
        assert (kept.what, kept.asked, kept.who, kept.at, kept.steps) == (
            "retry", {"cause": "ValueError"}, "ann", NOW, [lost],
        )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_many_sendings_of_one_request_at_once_are_one():
    run = work(a_run(), broken={("collect", 2): "ValueError"})
    told = []

    def one() -> None:
        try:
            told.append(retry(run).answer)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(told), len(set(told)), RunAction.objects.count()) == (4, 1, 1)

"""From phase to phase: everything once, in order, whatever happens at the same moment."""

import datetime as dt
import threading
from collections import Counter

import pytest
from django.db import connection

from apps.runs import ledger, progress, reconcile
from apps.runs.ledger import claim, finish, leave_out, open_run, put_back
from apps.runs.models import Run, RunStep
from apps.runs.phases import Phase, advance, end_run, follow

NOW = dt.datetime(2025, 6, 10, 5, 40, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
FIRST, LAST = Phase("find"), Phase("sum_up")
EACH = Phase("fetch", projects=lambda: {7: "toman/a", 8: "toman/b", 9: "toman/c"})
THEN = Phase("fold", follows="fetch")
PLAN = (FIRST, EACH, THEN, LAST)


def a_run(plan=PLAN) -> Run:
    run = open_run("backfill", slot="one", parameters={}, now=NOW)
    advance(run.pk, plan=plan, now=NOW)
    return run


def settle(step: RunStep, how=finish, **told) -> None:
    how(claim(step.pk, now=NOW), **(told or {"cursor": None}), now=NOW)


def move_on(run: Run, plan=PLAN) -> Run:
    advance(run.pk, plan=plan, now=NOW)
    run.refresh_from_db()
    return run


def the(phase: str, project: int | None = None) -> RunStep:
    return RunStep.objects.get(phase=phase, project_id=project)


def opened() -> Counter:
    return Counter(RunStep.objects.values_list("phase", flat=True))


def do_all(phase: str, run: Run) -> None:
    for step in RunStep.objects.filter(phase=phase, state="pending"):
        settle(step)
    move_on(run)


@pytest.mark.django_db
class TestTheWay:
    def test_a_new_run_has_its_first_phase(self):
        assert a_run().steps.get().phase == "find"

    def test_a_phase_opens_when_the_one_before_is_over(self):
        run = a_run()
        settle(the("find"))
        assert move_on(run).phase == "fetch"
        assert opened() == {"find": 1, "fetch": 3}
        assert the("fetch", 8).label == "toman/b"

    def test_a_project_goes_on_as_soon_as_it_can(self):
        run = a_run()
        do_all("find", run)
        settle(the("fetch", 8))
        move_on(run)
        assert (the("fold", 8).label, opened()["fold"]) == ("toman/b", 1)

    def test_asking_again_changes_nothing(self):
        run = a_run()
        do_all("find", run)
        before = list(RunStep.objects.values())
        move_on(move_on(run))
        assert list(RunStep.objects.values()) == before

    def test_a_run_ends_done_after_its_last_phase(self):
        run = a_run()
        for phase in ("find", "fetch", "fold", "sum_up"):
            assert run.state == Run.State.ACTIVE
            do_all(phase, run)
        assert (run.state, run.reason, run.finished_at) == ("done", "", NOW)
        assert run.summary == {"rows": 0, "requests": 0, "steps": 8, "left_out": []}

    def test_a_phase_without_projects_is_over_at_once(self):
        plan = (FIRST, Phase("fetch", projects=dict), THEN, LAST)
        run = a_run(plan)
        settle(the("find"))
        assert move_on(run, plan).phase == "sum_up"


def ended(phase: str, project: int, run: Run):
    """The project's step done, and what its end brings."""
    settle(the(phase, project))
    return follow(the(phase, project).pk, run_id=run.pk, phase=phase, plan=PLAN)


@pytest.mark.django_db
class TestTheEndOfAStep:
    def test_brings_the_projects_next_step_and_leaves_the_phase_open(self):
        run = a_run()
        do_all("find", run)
        assert ended("fetch", 8, run) == (True, False)
        assert (the("fold", 8).label, opened()["fold"]) == ("toman/b", 1)

    def test_of_the_last_one_may_end_the_phase(self):
        run = a_run()
        do_all("find", run)
        assert [ended("fetch", project, run).may_be_over for project in (7, 8, 9)] == [False, False, True]

    def test_told_twice_brings_nothing_more(self):
        run = a_run()
        do_all("find", run)
        ended("fetch", 8, run)
        assert not follow(the("fetch", 8).pk, run_id=run.pk, phase="fetch", plan=PLAN).has_follower
        assert opened()["fold"] == 1

    def test_that_was_put_back_brings_nothing(self):
        run = a_run()
        do_all("find", run)
        settle(the("fetch", 8), put_back, error=ValueError("busy"), after=MINUTE, is_fruitful=False)
        assert follow(the("fetch", 8).pk, run_id=run.pk, phase="fetch", plan=PLAN) == (False, False)

    def test_in_a_run_that_ended_brings_nothing(self):
        run = a_run()
        do_all("find", run)
        settle(the("fetch", 8))
        end_run(run.pk, state=Run.State.CANCELLED, reason="x", now=NOW)
        assert not follow(the("fetch", 8).pk, run_id=run.pk, phase="fetch", plan=PLAN).has_follower


@pytest.mark.django_db
class TestLosses:
    def test_a_project_left_out_leaves_the_others_unharmed(self):
        run = a_run()
        do_all("find", run)
        settle(the("fetch", 8), leave_out, error=ValueError("GitLab answered 403"))
        for phase in ("fetch", "fold", "sum_up"):
            do_all(phase, run)
        assert opened()["fold"] == 2
        assert run.state == "partial"
        assert run.reason == "1 project was left out. toman/b: GitLab answered 403"
        assert run.summary["left_out"] == [
            {"project_id": 8, "path": "toman/b", "reason": "GitLab answered 403"}
        ]

    def test_five_attempts_then_quarantine_then_partial(self):
        run = a_run()
        do_all("find", run)
        for n in range(ledger.ATTEMPTS):
            held = claim(the("fetch", 9).pk, now=NOW + n * MINUTE)
            error = ValueError("it always breaks")
            put_back(held, error=error, after=MINUTE, is_fruitful=False, now=NOW + n * MINUTE)
        for phase in ("fetch", "fold", "sum_up"):
            do_all(phase, run)
        assert the("fetch", 9).state == "quarantined"
        assert (run.state, run.reason) == ("partial", "1 project was left out. toman/c: it always breaks")

    def test_a_step_for_all_that_is_lost_fails_the_run(self):
        run = a_run()
        settle(the("find"), leave_out, error=ValueError("the group is hidden"))
        move_on(run)
        assert (run.state, run.reason) == ("failed", "find: the group is hidden")

    def test_a_run_that_lost_every_project_failed(self):
        run = a_run()
        do_all("find", run)
        for step in RunStep.objects.filter(phase="fetch"):
            settle(step, leave_out, error=ValueError("403"))
        move_on(run)
        assert (run.state, run.reason) == ("failed", "fetch: no project succeeded. toman/a: 403")


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_open_each_phase_once_and_finalise_once():
    """Six workers take whatever they can until the run is over: every step is done by one of them."""
    run, done = a_run(), []

    def work() -> None:
        try:
            while Run.objects.get(pk=run.pk).state == Run.State.ACTIVE:
                for pk in RunStep.objects.filter(state="pending").order_by("?").values_list("pk", flat=True):
                    if held := claim(pk, now=NOW):
                        finish(held, cursor=None, now=NOW)
                        done.append(pk)
                        advance(run.pk, plan=PLAN, now=NOW)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.refresh_from_db()
    assert run.state == "done"
    assert opened() == {"find": 1, "fetch": 3, "fold": 3, "sum_up": 1}
    assert len(done) == len(set(done)) == 8


@pytest.mark.django_db
class TestReconciling:
    def test_a_run_whose_worker_died_between_two_phases_moves_on(self):
        run = a_run()
        settle(the("find"))
        due = reconcile.reconcile(plans={"backfill": PLAN}, now=NOW)
        assert [step.phase for step in due] == ["fetch"] * 3
        assert {step.run_id for step in due} == {run.pk}

    def test_a_step_is_told_of_again_when_nothing_came_of_it(self):
        run = a_run()
        told = [len(reconcile.due(now=NOW + n * reconcile.PATIENCE / 3, run_id=run.pk)) for n in range(7)]
        assert told == [1, 0, 0, 1, 0, 0, 1]

    def test_a_step_that_waited_is_told_of_when_its_time_comes(self):
        run = a_run()
        reconcile.due(now=NOW)
        put_back(
            claim(the("find").pk, now=NOW),
            error=ValueError("429"),
            after=MINUTE / 6,
            is_fruitful=True,
            now=NOW,
        )
        assert reconcile.due(now=NOW + MINUTE / 12) == []
        (due,) = reconcile.due(now=NOW + MINUTE / 6, run_id=run.pk)
        assert due.again is False

    def test_an_expired_lease_is_told_of_at_once(self):
        a_run()
        claim(the("find").pk, now=NOW)
        (due,) = reconcile.reconcile(plans={"backfill": PLAN}, now=NOW + 2 * ledger.LEASE)
        assert due.step_id == the("find").pk


@pytest.mark.django_db(transaction=True)
def test_one_reconciler_at_a_time():
    from django.db import transaction

    a_run()
    answers = []

    def other() -> None:
        answers.append(reconcile.reconcile(plans={}, now=NOW))
        connection.close()

    with transaction.atomic():
        reconcile.reconcile(plans={}, now=NOW)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert answers == [None]


@pytest.mark.django_db
class TestProgress:
    def test_phases_stand_in_the_order_they_opened(self):
        run = a_run()
        do_all("find", run)
        claim(the("fetch", 7).pk, now=NOW).save(rows=10, requests=2)
        settle(the("fetch", 8))
        settle(the("fetch", 9), leave_out, error=ValueError("403"))
        seen = progress.snapshot(move_on(run).pk, now=NOW)
        assert [(p.name, p.settled, p.left_out, p.total) for p in seen.phases] == [
            ("find", 1, 0, 1),
            ("fetch", 2, 1, 3),
            ("fold", 0, 0, 1),
        ]
        assert (seen.rows, seen.requests, seen.is_over) == (10, 2, False)
        assert progress.seconds_left(seen.phases[1], now=NOW + MINUTE) == 30

    def test_what_is_waited_for_is_said(self):
        run = a_run()
        error = ValueError("GitLab is away")
        put_back(claim(the("find").pk, now=NOW), error=error, after=MINUTE, is_fruitful=False, now=NOW)
        seen = progress.snapshot(run.pk, now=NOW)
        assert seen.waiting == "find of all projects waits 60 s (attempt 1 of 5): GitLab is away"

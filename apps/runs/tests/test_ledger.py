"""Claims, fences, attempts: what the ledger promises to one worker and keeps from the others."""

import datetime as dt
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from apps.runs import holder, ledger, reconcile
from apps.runs.errors import LostClaim
from apps.runs.ledger import ATTEMPTS, LEASE, claim, finish, leave_out, open_run, put_back
from apps.runs.models import Run, RunStep
from apps.runs.phases import end_run

NOW = dt.datetime(2025, 6, 10, 5, 40, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def a_run(kind: str = "backfill", slot: str = "one") -> Run:
    return open_run(kind, slot=slot, parameters={"days": 3}, now=NOW)


def a_step(run: Run, *, phase: str = "collect", project: int | None = 7, **more) -> RunStep:
    return RunStep.objects.create(run=run, phase=phase, project_id=project, **more)


def at_once(work, count: int) -> list:
    """What `count` threads got that all began at the same moment, each on a connection of its own."""
    gate, results = threading.Barrier(count), []

    def one() -> None:
        try:
            gate.wait()
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@contextmanager
def another_process():
    """A living process that is not ours."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.django_db
class TestOpening:
    def test_a_second_request_of_the_kind_joins_the_run_under_way(self):
        first, second = a_run(slot="one"), a_run(slot="two")
        assert (first.joined, second.joined) == (False, True)
        assert first.pk == second.pk
        assert Run.objects.count() == 1

    def test_another_kind_opens_beside_it(self):
        assert a_run("backfill").pk != a_run("nightly").pk

    def test_a_slot_that_ended_is_never_opened_again(self):
        first = a_run()
        end_run(first.pk, state=Run.State.FAILED, reason="no disk", now=NOW)
        again = a_run()
        assert (again.pk, again.joined, again.state) == (first.pk, True, Run.State.FAILED)

    def test_the_next_request_after_the_end_opens_a_new_run(self):
        first = a_run(slot="one")
        end_run(first.pk, state=Run.State.DONE, reason="", now=NOW)
        assert a_run(slot="two").pk != first.pk


@pytest.mark.django_db(transaction=True)
def test_many_requests_at_once_open_one_run():
    opened = at_once(lambda: a_run(slot=f"{threading.get_ident()}"), 6)
    assert len({run.pk for run in opened}) == 1
    assert sum(not run.joined for run in opened) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_at_once_one_wins():
    step = a_step(a_run())
    claims = at_once(lambda: claim(step.pk, now=NOW), 6)
    assert [found.fence for found in claims if found] == [1]


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_for_one_project_in_several_runs_one_wins():
    steps = [a_step(a_run(kind)) for kind in ("backfill", "nightly", "incremental", "recompute")]
    waiting = [step.pk for step in steps]
    claims = at_once(lambda: claim(waiting.pop(), now=NOW), 4)
    assert len([found for found in claims if found]) == 1


@pytest.mark.django_db
class TestClaiming:
    def test_a_claim_knows_its_run_and_where_the_work_stood(self):
        found = claim(a_step(a_run(), cursor={"page": 3}, label="toman/a").pk, now=NOW)
        assert found is not None
        assert (found.project_id, found.label, found.phase) == (7, "toman/a", "collect")
        assert (found.cursor, found.parameters, found.kind) == ({"page": 3}, {"days": 3}, "backfill")

    def test_a_held_step_is_not_given_out_before_its_lease_ends(self):
        step = a_step(a_run())
        claim(step.pk, now=NOW)
        assert claim(step.pk, now=NOW + LEASE - dt.timedelta(seconds=1)) is None

    def test_an_expired_lease_is_given_out_with_a_newer_fence(self):
        step = a_step(a_run())
        first, second = claim(step.pk, now=NOW), claim(step.pk, now=NOW + 2 * LEASE)
        assert (first.fence, second.fence) == (1, 2)

    def test_a_step_waits_until_its_time(self):
        step = a_step(a_run(), not_before=NOW + MINUTE)
        assert claim(step.pk, now=NOW) is None
        assert claim(step.pk, now=NOW + MINUTE) is not None

    def test_a_step_of_a_run_that_ended_is_not_given_out(self):
        run = a_run()
        step = a_step(run)
        Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED)
        assert claim(step.pk, now=NOW) is None

    def test_a_later_run_waits_for_its_project(self):
        first, later = a_step(a_run("nightly")), a_step(a_run("incremental"))
        held = claim(first.pk, now=NOW)
        assert claim(later.pk, now=NOW) is None
        finish(held, cursor=None, now=NOW)
        assert claim(later.pk, now=NOW) is not None

    def test_steps_for_all_projects_take_turns_too(self):
        first = a_step(a_run("nightly"), phase="roll_up", project=None)
        later = a_step(a_run("incremental"), phase="roll_up", project=None)
        claim(first.pk, now=NOW)
        assert claim(later.pk, now=NOW) is None


@pytest.mark.django_db
class TestSaving:
    def test_counts_add_up_and_the_cursor_stays(self):
        step = a_step(a_run())
        held = claim(step.pk, now=NOW)
        held.save(rows=100, requests=2, cursor={"page": 1})
        held.save(rows=50, requests=1)
        step.refresh_from_db()
        assert (step.rows, step.requests, step.cursor, held.pages) == (150, 3, {"page": 1}, 2)

    def test_saving_extends_the_lease(self):
        step = a_step(a_run())
        held = claim(step.pk, now=NOW)
        held.save()
        step.refresh_from_db()
        assert step.lease_until > NOW + LEASE

    def test_a_stale_fence_is_refused_and_its_page_undone(self):
        run = a_run()
        zombie = claim(a_step(run).pk, now=NOW)
        claim(zombie.step_id, now=NOW + 2 * LEASE)

        @transaction.atomic
        def store_page() -> None:
            a_step(run, project=99)  # stands for the rows of the page
            zombie.save(rows=1)

        with pytest.raises(LostClaim):
            store_page()
        assert not RunStep.objects.filter(project_id=99).exists()

    @pytest.mark.parametrize("settle", [finish, leave_out, put_back])
    def test_a_stale_fence_settles_nothing(self, settle):
        zombie = claim(a_step(a_run()).pk, now=NOW)
        claim(zombie.step_id, now=NOW + 2 * LEASE)
        told = {
            finish: {"cursor": None},
            leave_out: {"error": ValueError("x")},
            put_back: {"error": ValueError("x"), "after": MINUTE, "is_fruitful": False},
        }[settle]
        with pytest.raises(LostClaim):
            settle(zombie, **told, now=NOW)
        assert RunStep.objects.get().state == RunStep.State.LEASED

    def test_a_worker_of_a_run_that_ended_is_refused(self):
        run = a_run()
        held = claim(a_step(run).pk, now=NOW)
        end_run(run.pk, state=Run.State.FAILED, reason="token refused", now=NOW)
        with pytest.raises(LostClaim):
            held.save(rows=1)


@pytest.mark.django_db
class TestTryingAgain:
    def test_the_fifth_attempt_that_led_to_nothing_quarantines(self):
        step, now, states = a_step(a_run()), NOW, []
        for _ in range(ATTEMPTS):
            held = claim(step.pk, now=now)
            put_back(held, error=ValueError("broken"), after=MINUTE, is_fruitful=False, now=now)
            now += MINUTE
            states.append(RunStep.objects.get().state)
        assert states == ["pending"] * 4 + ["quarantined"]
        assert claim(step.pk, now=now + MINUTE) is None
        assert RunStep.objects.get().error_text == "broken"

    def test_an_attempt_that_got_somewhere_is_not_counted(self):
        step = a_step(a_run())
        for n in range(3 * ATTEMPTS):
            held = claim(step.pk, now=NOW + n * MINUTE)
            put_back(held, error=ValueError("429"), after=MINUTE, is_fruitful=True, now=NOW + n * MINUTE)
        step.refresh_from_db()
        assert (step.state, step.attempt) == ("pending", 0)

    def test_even_small_steps_forward_come_to_an_end(self):
        step = a_step(a_run(), fence=ledger.MOST_CLAIMS, attempt=ATTEMPTS - 1)
        put_back(claim(step.pk, now=NOW), error=ValueError("x"), after=MINUTE, is_fruitful=True, now=NOW)
        assert RunStep.objects.get().state == "quarantined"

    def test_only_the_first_line_of_an_error_is_kept(self):
        held = claim(a_step(a_run()).pk, now=NOW)
        leave_out(
            held, error=ValueError("duplicate key\nDETAIL: Key (title)=(somebody@example.com)"), now=NOW
        )
        assert RunStep.objects.get().error_text == "duplicate key"


@pytest.mark.django_db
class TestTheDead:
    def test_a_lease_of_a_killed_process_is_taken_back_at_once(self):
        step = a_step(a_run())
        with another_process() as process:
            name = holder._name(process.pid)
            claim(step.pk, now=NOW)
            RunStep.objects.update(holder=name)
            assert reconcile.release_leases(now=NOW) == 0
            process.kill()
            process.wait()
            assert reconcile.release_leases(now=NOW) == 1
        assert claim(step.pk, now=NOW).fence == 2

    @pytest.mark.parametrize("name", ["another-machine:1:5", "", "nonsense", f"{holder.here()}:1:"])
    def test_whoever_cannot_be_looked_up_is_believed(self, name):
        step = a_step(a_run())
        claim(step.pk, now=NOW)
        RunStep.objects.update(holder=name)
        assert reconcile.release_leases(now=NOW) == 0

    def test_a_step_that_killed_five_workers_is_quarantined(self):
        step = a_step(a_run(), attempt=ATTEMPTS - 1)
        claim(step.pk, now=NOW)
        reconcile.reconcile(plans={}, now=NOW + 2 * LEASE)
        step.refresh_from_db()
        assert (step.state, step.error_class) == ("quarantined", "WorkerStopped")

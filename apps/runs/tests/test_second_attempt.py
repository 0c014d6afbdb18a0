"""A run that is late is tried again with fewer steps at once."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.runs import controls, reconcile
from apps.runs.controls import Order
from apps.runs.errors import LostClaim
from apps.runs.ledger import claim, finish, open_run
from apps.runs.models import Run, RunAction, RunStep
from apps.runs.phases import Phase, advance, end_run

NOW = dt.datetime(2025, 6, 10, 1, 0, tzinfo=dt.UTC)
PLAN = (
    Phase("discover"),
    Phase("collect", projects=lambda: {n: f"toman/{n}" for n in range(1, 9)}),
    Phase("roll_up"),
)


def collecting() -> Run:
    """A nightly whose eight projects are to be collected."""
    run = open_run("nightly", slot="2025-06-10", parameters={}, now=NOW)
    advance(run.pk, plan=PLAN, now=NOW)
    finish(claim(run.steps.get().pk, now=NOW), cursor=None, now=NOW)
    advance(run.pk, plan=PLAN, now=NOW)
    return run


def again(run: Run, *, parallelism: int = 2, key: str = "k") -> RunAction:
    order = Order(who="the deadline", key=key, now=NOW)
    return controls.attempt_again(
        run.pk, plan=PLAN, parallelism=parallelism, order=order, hopeless=("GitlabRefused",)
    )


def states(run: Run) -> dict[int | None, str]:
    return dict(run.steps.filter(phase="collect").values_list("project_id", "state"))


@pytest.mark.django_db
def test_what_is_under_way_is_taken_back_where_it_got_to_and_its_old_worker_refused() -> None:
    run = collecting()
    held = claim(run.steps.get(project_id=1).pk, now=NOW)
    held.save(rows=10, cursor={"page": 7})
    RunStep.objects.filter(run=run, project_id=2).update(attempt=4, not_before=NOW + dt.timedelta(minutes=9))
    action = again(run)
    with pytest.raises(LostClaim):
        held.save(rows=1)
    step = run.steps.get(project_id=1)
    assert (step.state, step.attempt, step.cursor, step.rows) == ("pending", 0, {"page": 7}, 10)
    waited = run.steps.get(project_id=2)
    assert (waited.attempt, waited.not_before) == (0, None)
    assert "at most 2 at once" in action.answer
    assert again(run).pk == action.pk  # the same request is done once


@pytest.mark.django_db
def test_no_more_steps_are_told_of_or_claimed_than_have_a_place() -> None:
    run = collecting()
    again(run)
    told = reconcile.due(now=NOW, run_id=run.pk)
    assert len(told) == 2
    assert reconcile.due(now=NOW, run_id=run.pk) == []
    held = [claim(one.step_id, now=NOW) for one in told]
    third = run.steps.filter(phase="collect", state="pending").first()
    assert all(held) and held[0].is_limited and claim(third.pk, now=NOW) is None
    finish(held[0], cursor=None, now=NOW)
    (following,) = reconcile.due(now=NOW, run_id=run.pk)
    assert claim(following.step_id, now=NOW) is not None


@pytest.mark.django_db(transaction=True)
def test_of_many_who_claim_at_once_as_many_get_a_step_as_there_are_places() -> None:
    run = collecting()
    again(run, parallelism=3)
    steps = list(run.steps.filter(phase="collect").values_list("pk", flat=True))

    def take(step: int) -> bool:
        try:
            return claim(step, now=NOW) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, steps)) == 3


@pytest.mark.django_db
def test_a_failed_run_is_opened_again_but_for_what_gitlab_refused() -> None:
    run = collecting()
    lost = run.steps.filter(phase="collect")
    lost.filter(project_id=1).update(state="failed", error_class="GitlabRefused")
    lost.filter(project_id=2).update(state="quarantined", error_class="GitlabUnavailable")
    end_run(run.pk, state=Run.State.FAILED, reason="no project succeeded", now=NOW)
    again(run)
    run.refresh_from_db()
    assert (run.state, run.parallelism) == (Run.State.ACTIVE, 2)
    assert states(run) == {1: "failed", **dict.fromkeys(range(2, 9), "pending")}


@pytest.mark.django_db
def test_a_run_that_is_over_otherwise_is_left_alone() -> None:
    run = collecting()
    end_run(run.pk, state=Run.State.CANCELLED, reason="cancelled by ann", now=NOW)
    assert again(run).steps == []
    run.refresh_from_db()
    assert (run.state, run.parallelism) == (Run.State.CANCELLED, None)

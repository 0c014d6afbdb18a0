"""When a run will be done: pure figures, and the same out of the ledger."""

import datetime as dt

import pytest

from apps.runs import forecast
from apps.runs.forecast import Standing
from apps.runs.models import Run, RunStep

USUAL = {"discover": 10.0, "collect": 100.0, "roll_up": 40.0, "export": 20.0}
PHASES = list(USUAL)
BEGUN = dt.datetime(2025, 6, 10, tzinfo=dt.UTC)


def standing(phase: str, **told: float) -> Standing:
    after = PHASES[PHASES.index(phase) + 1 :]
    return Standing(**{"phase": phase, "after": after, "for_s": 0.0, "settled": 0, "total": 10, **told})


def test_a_run_that_goes_as_ever_has_what_the_others_had_left():
    left = forecast.left(standing("collect", for_s=30.0), [USUAL] * 8)
    assert left.low_s == left.middle_s == left.high_s == 70 + 40 + 20


def test_the_range_holds_what_most_runs_took():
    past = [USUAL | {"roll_up": float(seconds)} for seconds in range(10, 110, 10)]
    left = forecast.left(standing("roll_up"), past)
    assert left.low_s < 20 + 30 < left.middle_s < 20 + 80 < left.high_s <= 120


def test_a_phase_that_should_be_over_goes_on_at_its_own_pace():
    left = forecast.left(standing("collect", for_s=900.0, settled=3, total=10), [USUAL] * 8)
    assert left.middle_s == 900 / 3 * 7 + 60


def test_few_runs_before_widen_the_range():
    few, many = (forecast.left(standing("collect"), [USUAL] * n) for n in (1, 8))
    assert few.low_s < many.low_s and many.high_s < few.high_s


def test_a_step_that_waits_for_gitlab_is_waited_for():
    assert forecast.left(standing("export", waits_s=600.0), [USUAL] * 8).low_s == 600


def test_nothing_is_foretold_without_a_run_before_unless_the_last_phase_keeps_a_pace():
    assert forecast.left(standing("collect", for_s=10.0, settled=5), []) is None
    assert forecast.left(standing("export"), []) is None
    assert forecast.left(standing("export", for_s=10.0, settled=5), []).middle_s == 10


def a_run(kind: str, slot: str, *, ends: dict[str, float], state: str = Run.State.DONE) -> Run:
    run = Run.objects.create(kind=kind, slot=slot, state=state, requested_at=BEGUN, phase=list(ends)[-1])
    for phase, seconds in ends.items():
        at = BEGUN + dt.timedelta(seconds=seconds)
        RunStep.objects.create(run=run, phase=phase, state="done", started_at=BEGUN, finished_at=at)
    return run


ENDS = {"discover": 10, "collect": 110, "roll_up": 150, "export": 170}


@pytest.mark.django_db
def test_the_ledger_tells_how_runs_of_the_kind_went():
    for night in range(6):
        a_run("nightly", f"{night}", ends=ENDS)
    a_run("backfill", "long", ends={name: 100 * at for name, at in ENDS.items()})
    run = a_run("nightly", "now", ends={"discover": 10.0}, state=Run.State.ACTIVE)
    Run.objects.filter(pk=run.pk).update(phase="collect")
    for project in range(4):
        RunStep.objects.create(run=run, phase="collect", project_id=project + 1)
    run.refresh_from_db()
    now = BEGUN + dt.timedelta(seconds=50)
    found = forecast.forecast(run, phases=PHASES, now=now)
    assert found.expected == BEGUN + dt.timedelta(seconds=170)
    assert found.runs == 6


@pytest.mark.django_db
def test_the_first_night_learns_from_the_backfill_and_an_ended_run_has_no_forecast():
    a_run("backfill", "first", ends=ENDS)
    run = a_run("nightly", "now", ends={"discover": 10.0}, state=Run.State.ACTIVE)
    Run.objects.filter(pk=run.pk).update(phase="collect")
    run.refresh_from_db()
    found = forecast.forecast(run, phases=PHASES, now=BEGUN + dt.timedelta(seconds=10))
    assert found.earliest < BEGUN + dt.timedelta(seconds=170) == found.expected < found.latest
    run.state = Run.State.DONE
    assert forecast.forecast(run, phases=PHASES, now=BEGUN) is None

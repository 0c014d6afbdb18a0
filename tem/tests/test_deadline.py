"""The night's deadline: warned before, paged at, tried again once, and told when it is over."""

from __future__ import annotations

import datetime as dt

import pytest
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from apps.collector.models import Server
from apps.runs import ledger
from apps.runs.models import Alert, Run, RunStep
from tem import clock, deadline
from tem.celery import seed_schedule
from tem.watch import Watch

SLOT = "2025-06-10"
BEGAN = dt.datetime(2025, 6, 10, 0, 0, tzinfo=dt.UTC)  # 02:00 in Amsterdam
MINUTE = dt.timedelta(minutes=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def history(settings):
    settings.TEM_MAX_PARALLELISM = 8
    Server.objects.create(
        url="https://gitlab.example", history_since=BEGAN - dt.timedelta(days=90), probed_at=BEGAN
    )


def a_night(days_ago: int = 0, *, took_min: float | None = None) -> Run:
    """A nightly: ended after so many minutes, or in the middle of collecting."""
    began = BEGAN - dt.timedelta(days=days_ago)
    run = ledger.open_run(
        "nightly", slot=clock.day_of(began).isoformat(), parameters={"scheduled": True}, now=began
    )
    for phase, share in (("discover", 0.1), ("collect", 0.95), ("roll_up", 1.0)):
        done = took_min is not None or phase == "discover"
        at = began + share * (took_min or 20) * MINUTE
        told = {"state": "done", "finished_at": at} if done else {}
        if done or phase == "collect":
            RunStep.objects.create(run=run, phase=phase, project_id=1 if phase == "collect" else None, **told)
    state = Run.State.ACTIVE if took_min is None else Run.State.DONE
    finished = None if took_min is None else began + took_min * MINUTE
    Run.objects.filter(pk=run.pk).update(phase="collect", state=state, finished_at=finished)
    return run


def told() -> list[str]:
    return list(Alert.objects.order_by("id").values_list("kind", flat=True))


def test_a_night_that_goes_as_ever_disturbs_nobody() -> None:
    for night in range(1, 7):
        a_night(night, took_min=50)
    run = a_night()
    for minute in range(52):
        deadline.look(now=BEGAN + minute * MINUTE)
    Run.objects.filter(pk=run.pk).update(state=Run.State.DONE)
    deadline.look(now=BEGAN + 60 * MINUTE)
    assert told() == []


def test_ten_minutes_before_people_are_told_that_it_does_not_look_so_once() -> None:
    for night in range(1, 7):
        a_night(night, took_min=70)
    run = a_night()
    deadline.look(now=BEGAN + 49 * MINUTE)
    assert told() == []
    for second in range(3):
        deadline.look(now=BEGAN + 50 * MINUTE + second * dt.timedelta(seconds=30))
    assert told() == ["deadline_at_risk"]
    alert = Alert.objects.get()
    assert alert.run_id == run.pk and "probably be done at 03:05" in alert.text
    assert deadline.of(run) == BEGAN + 60 * MINUTE
    assert deadline.is_late(run, deadline.expected(run, now=alert.raised_at), now=alert.raised_at)


def test_at_the_deadline_people_are_paged_and_the_run_is_tried_again_once_with_half_the_steps() -> None:
    run = a_night()
    step = run.steps.get(phase="collect")
    held = ledger.claim(step.pk, now=BEGAN + 59 * MINUTE)
    for second in (0, 30):
        deadline.look(now=BEGAN + 60 * MINUTE + second * dt.timedelta(seconds=1))
    assert told() == ["deadline_missed"]
    run.refresh_from_db(), step.refresh_from_db()
    assert (run.state, run.parallelism, step.state, step.attempt) == ("active", 4, "pending", 0)
    assert step.fence > held.fence
    assert list(run.actions.values_list("who", "what")) == [("the deadline", "retry")]
    assert Run.objects.count() == 1
    assert "1 step, at most 4 at once" in Alert.objects.get().text


def test_a_failed_night_is_tried_again_too_and_a_cancelled_one_is_not() -> None:
    run = a_night()
    run.steps.filter(phase="collect").update(state="quarantined", error_class="GitlabUnavailable")
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED)
    deadline.look(now=BEGAN + 60 * MINUTE)
    run.refresh_from_db()
    assert run.state == Run.State.ACTIVE
    Run.objects.all().delete(), Alert.objects.all().delete()
    cancelled = a_night()
    Run.objects.filter(pk=cancelled.pk).update(state=Run.State.CANCELLED)
    deadline.look(now=BEGAN + 60 * MINUTE)
    cancelled.refresh_from_db()
    assert (cancelled.state, told()) == (Run.State.CANCELLED, ["deadline_missed"])


def test_a_night_without_a_run_is_paged_and_one_that_began_late_is_not_interrupted() -> None:
    deadline.look(now=BEGAN + 60 * MINUTE)
    assert told() == ["deadline_missed"] and "has no run" in Alert.objects.get().text
    late = ledger.open_run("nightly", slot=SLOT, parameters={}, now=BEGAN + 300 * MINUTE)
    deadline.look(now=BEGAN + 301 * MINUTE)
    late.refresh_from_db()
    assert late.parallelism is None


def test_the_end_of_a_late_night_is_told_once() -> None:
    run = a_night()
    deadline.look(now=BEGAN + 60 * MINUTE)
    Run.objects.filter(pk=run.pk).update(state=Run.State.DONE, finished_at=BEGAN + 72 * MINUTE)
    for minute in (73, 74):
        deadline.look(now=BEGAN + minute * MINUTE)
    assert told() == ["deadline_missed", "deadline_met_late"]
    assert "at 03:12" in Alert.objects.order_by("id").last().text


@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26"])
def test_the_deadline_is_three_o_clock_on_days_on_which_clocks_change(day) -> None:
    at = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(3), tzinfo=clock.zone()).astimezone(dt.UTC)
    deadline.look(now=at - dt.timedelta(minutes=11))
    assert told() == []
    deadline.look(now=at - dt.timedelta(minutes=10))
    deadline.look(now=at)
    assert told() == ["deadline_at_risk", "deadline_missed"]
    assert set(Alert.objects.values_list("occasion", flat=True)) == {day}


def test_slots_that_nobody_opens_while_we_look_on_are_told_of() -> None:
    a_night(took_min=5)
    watch, due = Watch(), BEGAN + 75 * MINUTE  # 03:15, the hourly run
    for minute in range(10):
        watch.look(now=due + minute * MINUTE)
    assert told() == []
    watch.look(now=due + 10 * MINUTE)
    watch.look(now=due + 11 * MINUTE)
    assert told() == ["schedule_stopped"] and "incremental" in Alert.objects.get().text


def test_a_watcher_that_comes_after_a_long_absence_lets_beat_open_the_slots_first() -> None:
    a_night(took_min=5)
    asked = BEGAN - dt.timedelta(days=2)
    Run.objects.create(kind="weekly", slot="2025-06-08", state=Run.State.DONE, requested_at=asked)
    watch = Watch()
    watch.look(now=BEGAN + 600 * MINUTE)
    ledger.open_run("incremental", slot="now", parameters={}, now=BEGAN + 601 * MINUTE)
    watch.look(now=BEGAN + 611 * MINUTE)
    assert told() == []


def test_times_that_nobody_can_read_are_told_of_and_the_watch_goes_on() -> None:
    a_night(took_min=5)
    seed_schedule()
    never = CrontabSchedule.objects.create(minute="0", hour="2", day_of_month="30", month_of_year="2")
    PeriodicTask.objects.filter(name="nightly").update(crontab=never)
    watch = Watch()
    for minute in (70, 71):
        watch.turn(now=BEGAN + minute * MINUTE)
    assert told() == ["watch_failed"] and "ValueError" in Alert.objects.get().text

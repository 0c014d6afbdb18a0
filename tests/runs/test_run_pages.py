"""The buttons of the admin: each posts, asks before it cancels, and calls the one service."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from apps.collector.models import Server
from apps.runs.models import Run, RunAction, RunStep
from apps.runs.slots import NIGHTLY
from tem import clock
from tem.celery import seed_schedule

pytestmark = pytest.mark.django_db
RUNS = reverse("admin:runs_run_changelist")


@pytest.fixture
def run(broker) -> Run:
    """A partial run that lost three steps to two causes."""
    now = clock.now()
    run = Run.objects.create(
        kind="nightly", slot="x", state="partial", phase="collect", requested_at=now, finished_at=now,
        parameters={"first": "2025-01-01", "last": "2025-01-02", "scheduled": True},
    )  # fmt: skip
    for project, cause in ((1, "ValueError"), (2, "ValueError"), (3, "GitlabUnavailable")):
        lost = {"state": "quarantined", "error_class": cause, "error_text": f"a <bad> row in {project}"}
        RunStep.objects.create(run=run, phase="collect", project_id=project, **lost)
    return run


def page_of(run: Run, browser) -> str:
    return browser.get(reverse("admin:runs_run_change", args=[run.pk])).content.decode()


def states(run: Run) -> list[str]:
    return list(run.steps.order_by("project_id").values_list("state", flat=True))


def test_the_page_of_a_run_groups_what_was_lost_by_cause(admin_client, run):
    page = re.sub(r"\s+", " ", page_of(run, admin_client))
    assert re.search(r">ValueError</td> <td[^>]*>collect</td> <td[^>]*>2</td>", page)
    assert re.search(r">GitlabUnavailable</td> <td[^>]*>collect</td> <td[^>]*>1</td>", page)
    assert "a &lt;bad&gt; row in 1" in page


def test_one_click_retries_a_cause_and_two_clicks_do_no_more(admin_client, run):
    address = reverse("admin:runs_run_retry", args=[run.pk])
    for _ in range(2):
        answer = admin_client.post(address, {"cause": "ValueError", "key": "k"}, follow=True)
    assert "2 steps to try again" in answer.content.decode()
    assert states(run) == ["pending", "pending", "quarantined"]
    assert [(action.who, action.asked) for action in RunAction.objects.all()] == [
        ("admin", {"cause": "ValueError"})
    ]
    assert "admin: retry." in page_of(run, admin_client)


def test_looking_retries_nothing(admin_client, run):
    assert admin_client.get(reverse("admin:runs_run_retry", args=[run.pk])).status_code == 405
    assert not RunAction.objects.exists()
    assert admin_client.post(reverse("admin:runs_run_retry", args=[99999])).status_code == 404


def test_each_button_of_a_page_is_a_request_of_its_own(admin_client, run):
    keys = re.findall(r'name="key" value="([^"]+)"', page_of(run, admin_client))
    assert len(keys) == len(set(keys)) == 3
    for key in keys:
        admin_client.post(reverse("admin:runs_run_retry", args=[run.pk]), {"key": key})
    assert RunAction.objects.count() == 3


def test_several_runs_and_single_steps_are_retried_from_the_lists(admin_client, run):
    steps = {
        "action": "retry_steps",
        "_selected_action": [step.pk for step in run.steps.all()[:2]],
        "key": "a",
    }
    admin_client.post(reverse("admin:runs_runstep_changelist"), steps)
    assert states(run) == ["pending", "pending", "quarantined"]
    admin_client.post(RUNS, {"action": "retry_lost", "_selected_action": [run.pk]})
    assert states(run) == ["pending", "pending", "pending"]
    assert RunAction.objects.count() == 3


def test_a_cancel_asks_first(admin_client, run):
    Run.objects.filter(pk=run.pk).update(state="active")
    assert "Cancel this run…" in page_of(run, admin_client)
    asked = {"action": "cancel_runs", "_selected_action": [run.pk]}
    question = admin_client.post(RUNS, asked).content.decode()
    assert f"Run {run.pk}, nightly x: active" in question
    assert Run.objects.get().state == "active"
    admin_client.post(RUNS, {**asked, "sure": "yes"})
    assert (Run.objects.get().state, RunAction.objects.get().what) == ("cancelled", "cancel")


def test_a_refusal_is_said(admin_client, run):
    answer = admin_client.post(
        RUNS, {"action": "cancel_runs", "_selected_action": [run.pk], "sure": "yes"}, follow=True
    )
    assert "is over: partial" in answer.content.decode()


def test_who_may_not_look_may_not_steer(client, run, django_user_model):
    client.force_login(django_user_model.objects.create_user("ann", is_staff=True))
    assert client.post(reverse("admin:runs_run_retry", args=[run.pk])).status_code == 403
    assert client.post(RUNS, {"action": "retry_lost", "_selected_action": [run.pk]}).status_code == 403
    assert not RunAction.objects.exists()


def test_the_buttons_stand_in_forms_of_their_own(admin_client, run):
    """A form within a form is dropped by browsers: its button would post to the page instead."""
    open_forms = 0
    for tag in re.findall(r"<(/?)form\b", page_of(run, admin_client)):
        open_forms += -1 if tag else 1
        assert open_forms in (0, 1)


def test_the_page_of_a_run_under_way_says_when_it_will_be_done(admin_client, run):
    now = clock.now()
    assert 'id="forecast"' not in page_of(run, admin_client)
    going = Run.objects.create(kind="incremental", slot="y", state="active", phase="check", requested_at=now)
    assert "Nothing is known yet" in page_of(going, admin_client)
    RunStep.objects.create(run=run, phase="check", state="done", finished_at=now + dt.timedelta(minutes=5))
    page = re.sub(r"\s+", " ", page_of(going, admin_client))
    assert "by 1 run before it and its own pace" in page
    told = admin_client.get("/status").json()["runs"]["incremental"]
    assert told["expected_end"] >= told["expected_between"][0]
    assert (told["deadline"], told["late"]) == (None, None)


def schedule(entry: PeriodicTask, browser, **told) -> str:
    address = reverse("admin:django_celery_beat_periodictask_change", args=[entry.pk])
    fields = {"enabled": "on", "interval": "", "kwargs": "{}", "expire_seconds": "", **told}
    return browser.post(address, fields, follow=True).content.decode()


def test_admins_move_the_night_and_cannot_give_it_times_that_mean_nothing(admin_client):
    seed_schedule()
    night, tick = (PeriodicTask.objects.get(name=name) for name in ("nightly", "open due runs"))
    early = CrontabSchedule.objects.create(minute="30", hour="1", timezone="Europe/Amsterdam")
    schedule(night, admin_client, crontab=early.pk)
    assert NIGHTLY.next(clock.now()).at.astimezone(clock.zone()).strftime("%H:%M") == "01:30"
    abroad = CrontabSchedule.objects.create(minute="30", hour="3", timezone="Asia/Tokyo")
    assert "choose its time zone" in schedule(night, admin_client, crontab=abroad.pk)
    assert "choose a crontab" in schedule(night, admin_client, crontab="", interval=tick.interval_id)
    assert PeriodicTask.objects.get(pk=night.pk).crontab_id == early.pk
    never = {"minute": "0", "hour": "2", "day_of_month": "30", "month_of_year": "2", "day_of_week": "*"}
    address = reverse("admin:django_celery_beat_crontabschedule_change", args=[early.pk])
    answer = admin_client.post(address, {**never, "timezone": "Europe/Amsterdam"}, follow=True)
    assert "cannot be" in answer.content.decode()


START = reverse("admin:runs_run_start")


def test_a_window_is_run_again_from_a_form_once_for_two_clicks(admin_client, broker):
    assert "Start a run" in admin_client.get(RUNS).content.decode()
    assert "Start a run" in admin_client.get(START).content.decode()
    told = {"kind": "recompute", "first": "2025-06-01", "last": "2025-06-05", "days": "9", "key": "k"}
    assert "Nothing has been collected yet" in admin_client.post(START, told).content.decode()
    now = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
    Server.objects.create(url="https://gitlab.example", history_since=now, probed_at=now)
    for _ in range(2):
        answer = admin_client.post(START, told, follow=True)
    opened = Run.objects.get(kind="recompute")
    assert f"Run {opened.pk}" in answer.content.decode()
    assert (opened.parameters["first"], opened.parameters["last"]) == ("2025-06-01", "2025-06-05")
    (action,) = RunAction.objects.filter(run=opened)
    assert (action.who, action.asked) == ("admin", {"first": "2025-06-01", "last": "2025-06-05"})


def test_the_form_says_what_cannot_be(admin_client, broker):
    answer = admin_client.post(START, {"kind": "backfill", "days": "9999"}).content.decode()
    assert "less than or equal to 730" in answer
    assert not Run.objects.exists()

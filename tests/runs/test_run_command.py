"""`manage.py run`: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.core.management import CommandError, call_command

from apps.runs import progress
from apps.runs.forecast import Forecast
from apps.runs.models import Run
from tem import clock, screen
from tem.environment import SettingsWrong
from tem.management.commands.run import ending
from tem.screen import length

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("run", *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backfill", "--days", "0"], "days must be from 1 to 730, not 0."),
        (["backfill", "--days", "731"], "days must be from 1 to 730"),
        (["backfill", "--days", "ten"], "invalid int value"),
        (["monthly"], "invalid choice: 'monthly'"),
        (["nightly", "--days", "3"], "--days belongs to a backfill"),
        (["backfill", "--from", "2025-01-01"], "belong to a recompute"),
        (["recompute", "--from", "soon"], "invalid day value"),
        (["recompute"], "run a backfill first"),
    ],
)
def test_a_bad_request_opens_nothing(gitlab, words, said):
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert not Run.objects.exists()


def test_a_bad_request_leaves_with_two(gitlab):
    with pytest.raises(CommandError) as refusal:
        run("backfill", "--days", "0")
    assert refusal.value.returncode == 2


def test_a_missing_gitlab_is_said_before_anything_is_opened(gitlab, settings):
    settings.GITLAB_TOKEN = ""
    with pytest.raises(SettingsWrong) as refusal:
        run("backfill")
    assert refusal.value.problems[0].startswith("GITLAB_API_TOKEN: is not set.")
    assert not Run.objects.exists()


def test_without_wait_it_says_the_run_and_leaves(gitlab):
    said = run("backfill", "--days", "3")
    opened = Run.objects.get()
    assert said.startswith(f"Run {opened.pk}: backfill from ")
    assert "No worker is up" in said


def test_a_second_request_says_that_it_joins(gitlab):
    run("backfill", "--days", "3")
    opened = Run.objects.get()
    assert f"under way already: run {opened.pk}" in run("backfill", "--days", "5")


def test_an_end_that_is_not_done_says_why():
    assert ending(Run(pk=4, state="done")) == "Run 4 is done."
    assert ending(Run(pk=4, state="partial", reason="1 project was left out.")) == (
        "Run 4 is partial: 1 project was left out."
    )


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (48, "48 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_lengths_are_said_in_words(seconds, said):
    assert length(seconds) == said


def test_plain_lines_tell_each_phase_once(gitlab):
    run("backfill", "--days", "3")
    out, now = io.StringIO(), clock.now()
    with screen.screen_for(out) as lines:
        for _ in range(5):
            lines.show(progress.snapshot(Run.objects.get().pk, now=now), now=now)
    assert out.getvalue().count("discover 0/1") == 1


def test_a_terminal_gets_bars(gitlab):
    run("backfill", "--days", "3")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, now = Terminal(), clock.now()
    with screen.screen_for(out) as bars:
        bars.show(progress.snapshot(Run.objects.get().pk, now=now), now=now)
    assert "discover" in out.getvalue()
    assert "0/1" in out.getvalue()


def test_it_says_when_the_run_will_be_done_by_the_clock_of_the_wall():
    at = dt.datetime(2025, 6, 10, 0, 40, tzinfo=dt.UTC)
    minute = dt.timedelta(minutes=1)
    found = Forecast(expected=at, earliest=at - minute, latest=at + 5 * minute, runs=6)
    assert screen.ends(found) == ", done about 02:40 (02:39 to 02:45)"
    assert screen.ends(None) == ""

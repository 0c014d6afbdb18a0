"""Beat comes twice, or not for hours: each slot has one run, and none is missed that anybody waits for."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from apps.collector.models import Server
from apps.runs.models import Run
from apps.runs.phases import end_run
from tem import clock, pipeline
from tests.collector import soaking

HOUR, TICK = dt.timedelta(hours=1), dt.timedelta(minutes=30)
AWAY = 5 * HOUR


@pytest.fixture
def history(broker) -> None:
    """There is one, or nothing would be due."""
    since = clock.midnight(dt.date(2023, 1, 1))
    Server.objects.create(url="https://gitlab.example.org", probed_at=since, history_since=since)


@pytest.mark.django_db(transaction=True)
def test_beats_that_tick_at_the_same_moment_open_one_run(history):
    now = dt.datetime(2025, 6, 11, 5, 40, tzinfo=dt.UTC)
    gate = threading.Barrier(4)

    def beat() -> None:
        gate.wait()
        pipeline.ensure_runs(now=now)
        connection.close()

    beats = [threading.Thread(target=beat) for _ in range(4)]
    for one in beats:
        one.start()
    for one in beats:
        one.join()
    assert [run.kind for run in Run.objects.filter(state="active")] == ["weekly"]
    assert Run.objects.count() == 1


def changes(first: int, last: int) -> Iterator[dt.date]:
    """The local days of those years on which clocks change."""
    for day in clock.days_between(dt.date(first, 1, 1), dt.date(last, 12, 31)):
        window = clock.window(day)
        if window.until - window.since != 24 * HOUR:
            yield day


def up(day: dt.date) -> tuple[list[dt.datetime], dt.datetime]:
    """A quarter past and a quarter to each hour about the day, but for five hours about its 02:00.

    Answers these instants, and the first one after the five hours.
    """
    window = clock.window(day)
    gone = window.since - HOUR
    first = gone - 2 * HOUR + dt.timedelta(minutes=15)
    every = [first + nth * TICK for nth in range(int((window.until + 4 * HOUR - first) / TICK))]
    there = [now for now in every if not gone <= now < gone + AWAY]
    return there, next(now for now in there if now > gone)


def beaten(moments: list[dt.datetime], *, beats: int) -> None:
    """So many beats tick at each of these moments; whatever is opened is done before the next."""
    for now in moments:
        for _ in range(beats):
            pipeline.ensure_runs(now=now)
        for run in Run.objects.filter(state="active"):
            end_run(run.pk, state=Run.State.DONE, reason="", now=now)


def opened(*kinds: str) -> dict[str, dt.datetime]:
    """By slot when its run was asked for."""
    return dict(Run.objects.filter(kind__in=kinds).values_list("slot", "requested_at"))


def hold_to_the_calendar(day: dt.date) -> int:
    """The night's work begins as soon as a beat is back, once; every hour that somebody was up for has its
    run, unless a longer one began at that moment. Answers how many runs there were."""
    Run.objects.all().delete()
    moments, back = up(day)
    beaten(moments, beats=2)
    longer = [*opened("nightly").values(), *opened("weekly").values()]
    assert longer.count(back) == 1
    assert str(day + dt.timedelta(days=1)) in opened("nightly")
    assert set(opened("nightly")) <= {str(day), str(day + dt.timedelta(days=1))}
    quarters = {now for now in moments if now.minute == 15} - set(longer)
    assert opened("incremental") == {f"{now:%Y-%m-%dT%H:%MZ}": now for now in quarters}
    return Run.objects.count()


@pytest.mark.django_db
@pytest.mark.parametrize("day", [*changes(2025, 2025)], ids=str)
def test_two_beats_that_were_away_for_five_hours_miss_no_night(history, day):
    assert hold_to_the_calendar(day) > 20


@pytest.mark.soak
@pytest.mark.django_db
def test_at_every_change_of_clocks_until_2037(history):
    soaking.keep("beats", {str(day): hold_to_the_calendar(day) for day in changes(2024, 2037)})

"""Slots over clock changes: one nightly a local day, one hourly run an hour that passes."""

import datetime as dt

import pytest

from apps.runs import slots
from apps.runs.models import Run
from tem import clock

UTC = dt.UTC
SPRING, AUTUMN = dt.date(2025, 3, 30), dt.date(2025, 10, 26)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "starts"),
    [
        (dt.date(2025, 1, 15), "2025-01-15T01:00"),
        (dt.date(2025, 7, 15), "2025-07-15T00:00"),
        (SPRING, "2025-03-30T00:00"),  # 02:00 does not exist; an hour before 03:00 is 01:00 CET
        (AUTUMN, "2025-10-26T00:00"),  # 02:00 comes twice; the first one counts
    ],
)
def test_nightly_starts_at_the_first_two_o_clock_and_an_hour_before_its_deadline(day, starts):
    assert slots.nightly_at(day) == at(starts)


def test_every_day_of_fourteen_years_has_one_nightly_that_can_meet_its_deadline():
    days = clock.days_between(dt.date(2024, 1, 1), dt.date(2037, 12, 31))
    starts = [slots.nightly_at(day) for day in days]
    assert len(set(starts)) == len(days)
    for day, start in zip(days, starts, strict=True):
        deadline = dt.datetime.combine(day, slots.DEADLINE, tzinfo=clock.zone()).astimezone(UTC)
        assert deadline - start >= slots.HEAD_START
        assert slots.last_nightly(start) == slots.Slot(day.isoformat(), start)
        assert slots.last_nightly(start - dt.timedelta(seconds=1)).name < day.isoformat()
        assert slots.next_nightly(start - dt.timedelta(seconds=1)).name == day.isoformat()


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25), (dt.date(2025, 6, 1), 24)])
def test_a_day_has_as_many_hourly_slots_as_hours(day, hours):
    span = clock.window(day)
    ticks = [span.since + n * dt.timedelta(minutes=1) for n in range(hours * 60)]
    names = {slots.last_hourly(tick) for tick in ticks if slots.last_hourly(tick).at >= span.since}
    assert len(names) == len({slot.name for slot in names}) == hours
    assert all(slot.at.astimezone(clock.zone()).minute == 15 for slot in names)


def test_the_next_hourly_slot_follows_the_last():
    now = at("2025-10-26T00:15")
    assert slots.last_hourly(now) == slots.Slot("2025-10-26T00:15Z", now)
    assert slots.next_hourly(now).at == at("2025-10-26T01:15")


def test_a_quarter_past_is_local_where_zones_are_half_an_hour_off(settings):
    settings.TEM_TIMEZONE = "Asia/Kolkata"
    assert slots.last_hourly(at("2025-06-01T12:00")).at == at("2025-06-01T11:45")


@pytest.mark.parametrize(
    ("now", "newest", "following"),
    [
        ("2025-06-10T05:40", "2025-06-08T02:00", "2025-06-15T02:00"),
        ("2025-06-08T01:59", "2025-06-01T02:00", "2025-06-08T02:00"),
        ("2025-06-08T02:00", "2025-06-08T02:00", "2025-06-15T02:00"),
        ("2025-03-30T12:00", "2025-03-30T02:00", "2025-04-06T02:00"),  # the clocks changed that night
        ("2025-03-29T12:00", "2025-03-23T03:00", "2025-03-30T02:00"),
    ],
)
def test_the_weekly_sweep_is_on_sundays_at_four_local(now, newest, following):
    assert slots.last_weekly(at(now)).at == at(newest)
    assert slots.next_weekly(at(now)).at == at(following)


WEEKLY, NIGHTLY, HOURLY = slots.RHYTHMS
NOW = at("2025-06-10T05:40")  # 07:40 in Amsterdam: the last slots were at 02:00 and 07:15


def a_run(kind: str, requested: str, state: str = Run.State.DONE, slot: str = "") -> Run:
    return Run.objects.create(kind=kind, slot=slot or requested, state=state, requested_at=at(requested))


@pytest.mark.django_db
class TestDue:
    def test_after_a_long_absence_only_the_newest_slot_is_due(self):
        a_run("nightly", "2025-06-01T00:00", slot="2025-06-01")
        assert slots.due(NIGHTLY, now=NOW) == slots.Slot("2025-06-10", at("2025-06-10T00:00"))
        assert slots.due(HOURLY, now=NOW) == slots.Slot("2025-06-10T05:15Z", at("2025-06-10T05:15"))

    def test_a_slot_is_due_once_however_it_ended(self):
        a_run("nightly", "2025-06-10T00:00", state=Run.State.FAILED, slot="2025-06-10")
        assert slots.due(NIGHTLY, now=NOW) is None

    def test_a_backfill_since_the_slot_did_its_work(self):
        a_run("backfill", "2025-06-10T05:20")
        assert slots.due(NIGHTLY, now=NOW) is None
        assert slots.due(HOURLY, now=NOW) is None

        assert slots.due(WEEKLY, now=NOW) is None

    def test_a_failed_backfill_did_not(self):
        a_run("backfill", "2025-06-10T05:20", state=Run.State.FAILED)
        assert slots.due(NIGHTLY, now=NOW) is not None

    def test_the_hourly_run_yields_to_a_nightly_under_way(self):
        a_run("nightly", "2025-06-10T00:00", state=Run.State.ACTIVE, slot="2025-06-10")
        assert slots.due(HOURLY, now=NOW) is None

    def test_the_nightly_yields_to_a_weekly_which_does_its_work(self):
        a_run("weekly", "2025-06-10T00:00", state=Run.State.ACTIVE, slot="2025-06-08")
        assert slots.due(NIGHTLY, now=NOW) is None

    def test_the_weekly_waits_for_a_nightly_under_way_which_does_not_do_its_work(self):
        nightly = a_run("nightly", "2025-06-10T00:00", state=Run.State.ACTIVE, slot="2025-06-10")
        assert slots.due(WEEKLY, now=NOW) is None
        Run.objects.filter(pk=nightly.pk).update(state=Run.State.DONE)
        assert slots.due(WEEKLY, now=NOW) is not None

    def test_a_run_by_hand_since_the_slot_counts(self):
        a_run("incremental", "2025-06-10T05:16", slot="asked by hand")
        assert slots.due(HOURLY, now=NOW) is None

"""Slots over clock changes: one nightly a local day, one hourly run an hour that passes."""

import datetime as dt

import pytest
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from apps.runs import slots
from apps.runs.models import Run
from tem import clock
from tem.celery import seed_schedule

UTC = dt.UTC
NIGHTS, HOURS, WEEKS = (
    slots.Times.of(text, is_for_deadline=text == "0 2 * * *")
    for text in ("0 2 * * *", "15 * * * *", "0 4 * * 0")
)
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
    assert NIGHTS.on(day) == [slots.Slot(day.isoformat(), at(starts))]


@pytest.mark.parametrize("begins", ["0 2 * * *", "30 2 * * *", "15 0 * * *"])
def test_every_day_of_fourteen_years_has_one_nightly_with_all_its_time_before_the_deadline(begins):
    """Also where an admin moved it."""
    nights = slots.Times.of(begins, is_for_deadline=True)
    minute, hour, *_ = map(int, begins.split()[:2])
    ahead = dt.timedelta(hours=3) - dt.timedelta(hours=hour, minutes=minute)
    days = clock.days_between(dt.date(2024, 1, 1), dt.date(2037, 12, 31))
    found = [slot for day in days for slot in nights.on(day)]
    assert [slot.name for slot in found] == [day.isoformat() for day in days]
    for slot in found:
        assert slots.deadline_of(slot) - slot.at >= ahead
        assert clock.day_of(slots.deadline_of(slot)).isoformat() == slot.name
        if slot.name[5:7] in ("03", "10"):  # the months in which clocks change
            assert nights.last(slot.at) == nights.next(slot.at - dt.timedelta(seconds=1)) == slot
            assert nights.last(slot.at - dt.timedelta(seconds=1)) != slot


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25), (dt.date(2025, 6, 1), 24)])
def test_a_day_has_as_many_hourly_slots_as_hours(day, hours):
    span = clock.window(day)
    ticks = [span.since + n * dt.timedelta(minutes=1) for n in range(hours * 60)]
    found = HOURS.on(day)
    assert len({slot.name for slot in found}) == len({slot.at for slot in found}) == len(found) == hours
    assert all(slot.at.astimezone(clock.zone()).minute == 15 for slot in found)
    assert all(HOURS.last(tick) in (*found, HOURS.last(span.since)) for tick in ticks[::7])


def test_the_next_hourly_slot_follows_the_last():
    now = at("2025-10-26T00:15")
    assert HOURS.last(now) == slots.Slot("2025-10-26T00:15Z", now)
    assert HOURS.next(now).at == at("2025-10-26T01:15")


def test_a_quarter_past_is_local_where_zones_are_half_an_hour_off(settings):
    settings.TEM_TIMEZONE = "Asia/Kolkata"
    assert HOURS.last(at("2025-06-01T12:00")).at == at("2025-06-01T11:45")


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
    assert WEEKS.last(at(now)).at == at(newest)
    assert WEEKS.next(at(now)).at == at(following)


def test_a_time_that_comes_twice_a_day_has_two_names():
    found = slots.Times.of("0 2,14 * * *").on(dt.date(2025, 6, 1))
    assert [slot.name for slot in found] == ["2025-06-01", "2025-06-01T14:00"]


def test_a_day_that_is_years_away_has_no_slot_in_sight():
    never = slots.Times.of("0 2 29 2 *")
    assert never.last(at("2025-06-01T12:00")) is never.next(at("2025-06-01T12:00")) is None


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


@pytest.mark.django_db
class TestTheTable:
    """What admins edit is what counts."""

    @pytest.fixture(autouse=True)
    def seeded(self):
        seed_schedule()

    def edit(self, name: str, **fields: str) -> None:
        times = CrontabSchedule.objects.create(timezone="Europe/Amsterdam", **fields)
        PeriodicTask.objects.filter(name=name).update(crontab=times)

    def test_it_begins_as_the_schedule_says(self):
        assert [rhythm.next(NOW) for rhythm in slots.RHYTHMS] == [
            slots.Slot("2025-06-15", at("2025-06-15T02:00")),
            slots.Slot("2025-06-11", at("2025-06-11T00:00")),
            slots.Slot("2025-06-10T06:15Z", at("2025-06-10T06:15")),
        ]

    def test_moved_times_move_the_slots(self):
        self.edit("nightly", minute="30", hour="1")
        self.edit("incremental", minute="5,35", hour="*")
        self.edit("weekly", minute="0", hour="6", day_of_week="sat")
        assert NIGHTLY.next(NOW) == slots.Slot("2025-06-11", at("2025-06-10T23:30"))
        assert HOURLY.last(NOW) == slots.Slot("2025-06-10T05:35Z", at("2025-06-10T05:35"))
        assert WEEKLY.next(NOW) == slots.Slot("2025-06-14", at("2025-06-14T04:00"))

    def test_a_night_moved_to_later_on_its_day_is_not_run_twice(self):
        a_run("nightly", "2025-06-10T00:00", slot="2025-06-10")
        self.edit("nightly", minute="0", hour="7")
        assert slots.due(NIGHTLY, now=NOW) is None

    def test_what_is_switched_off_is_never_due(self):
        PeriodicTask.objects.filter(name="nightly").update(enabled=False)
        assert slots.due(NIGHTLY, now=NOW) is NIGHTLY.next(NOW) is None

    def test_beat_that_starts_again_leaves_edits_alone(self):
        self.edit("nightly", minute="30", hour="1")
        seed_schedule()
        assert NIGHTLY.next(NOW).at == at("2025-06-10T23:30")
        assert PeriodicTask.objects.filter(name="nightly").count() == 1

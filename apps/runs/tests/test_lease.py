"""A lease is kept alive beside the work, and only as long as the claim is the newest."""

import datetime as dt
import threading

import pytest

from apps.runs.lease import Heart
from apps.runs.ledger import LEASE, claim, open_run
from apps.runs.models import RunStep
from tem import clock

pytestmark = pytest.mark.django_db(transaction=True)


def a_claim():
    run = open_run("backfill", slot="one", parameters={}, now=clock.now())
    step = RunStep.objects.create(run=run, phase="collect", project_id=7)
    return claim(step.pk, now=clock.now() - LEASE / 2)


def left() -> dt.timedelta:
    return RunStep.objects.get().lease_until - clock.now()


def comes_true(is_so) -> bool:
    pause = threading.Event()
    return any(is_so() or pause.wait(0.02) for _ in range(250))


def test_a_long_step_keeps_its_lease():
    heart = Heart(every_s=0.05)
    with heart.kept(a_claim()):
        assert comes_true(lambda: left() > LEASE * 0.9)


def test_one_heart_beats_for_every_step_of_the_process():
    heart, before = Heart(every_s=0.05), threading.active_count()
    held = a_claim()
    for _ in range(3):
        with heart.kept(held):
            assert comes_true(lambda: left() > LEASE * 0.9)
        RunStep.objects.update(lease_until=clock.now())
    assert threading.active_count() == before + 1


def test_a_lost_claim_is_not_beaten_for_any_more():
    heart = Heart(every_s=0.05)
    with heart.kept(a_claim()):
        RunStep.objects.update(fence=99, lease_until=clock.now())
        assert comes_true(lambda: not heart._held)
        assert left() <= dt.timedelta(0)


def test_a_step_that_is_over_is_not_beaten_for_any_more():
    heart = Heart(every_s=0.05)
    with heart.kept(a_claim()):
        assert comes_true(lambda: left() > LEASE * 0.9)
    assert not heart._held

"""The Celery app as configured: limits in order, and a schedule that respects what an admin changed."""

from __future__ import annotations

from queue import Empty

import pytest
from django.conf import settings
from django.db import connection
from django_celery_beat.models import PeriodicTask
from kombu import Connection

from tem.celery import app, seed_schedule
from tem.schedule import BEAT


def test_limits_lie_below_one_another() -> None:
    """Or else the broker hands out a task that still runs."""
    conf = app.conf
    visible_s = conf.broker_transport_options["visibility_timeout"]
    assert conf.task_soft_time_limit < conf.task_time_limit < visible_s


def test_every_scheduled_task_has_a_queue_that_is_served() -> None:
    assert {entry.queue for entry in BEAT} <= {queue.name for queue in app.conf.task_queues}


def test_messages_of_two_installations_do_not_meet() -> None:
    options = dict(app.conf.broker_transport_options)
    address = settings.TEM_REDIS_URL
    with Connection(address, transport_options=options) as ours, ours.SimpleQueue("tem-test") as queue:
        queue.clear()
        queue.put({"hint": 1})
        other = {**options, "global_keyprefix": "another:"}
        with (
            Connection(address, transport_options=other) as theirs,
            theirs.SimpleQueue("tem-test") as empty,
            pytest.raises(Empty),
        ):
            empty.get(block=False)
        message = queue.get(timeout=2)
        assert message.payload == {"hint": 1}
        message.ack()


@pytest.mark.django_db
def test_seeding_adds_what_is_absent_and_keeps_what_was_edited() -> None:
    seed_schedule()
    PeriodicTask.objects.filter(name=BEAT[0].name).update(enabled=False)
    PeriodicTask.objects.filter(name=BEAT[1].name).delete()
    seed_schedule()
    found = {task.name: task.enabled for task in PeriodicTask.objects.all()}
    assert found == {entry.name: entry is not BEAT[0] for entry in BEAT}


@pytest.mark.django_db
def test_tests_run_on_the_embedded_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version_num')::int, current_setting('TimeZone')")
        version, zone = cursor.fetchone()
    assert version >= 150000
    assert zone == "UTC"

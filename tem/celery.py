"""The Celery app: hints travel here, the ledger is the truth, so nothing in Redis is precious."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from celery import Celery
from celery.signals import beat_init, task_prerun, worker_process_init, worker_process_shutdown
from kombu import Queue

from tem import telemetry
from tem.schedule import BEAT, Entry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tem.settings")

from django.conf import settings

QUEUES = ("collect", "compute", "export", "ops")
SOFT_LIMIT_S, HARD_LIMIT_S, VISIBILITY_S = 480, 600, 1800  # each below the next, or tasks run twice

# A half-open socket would leave a worker alive and silent for ever: probe it, and give up early.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}
TRANSPORT: dict[str, Any] = {
    "visibility_timeout": VISIBILITY_S,
    "global_keyprefix": settings.TEM_REDIS_PREFIX,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
    "health_check_interval": 10,
    "retry_on_timeout": True,
}

app = Celery("tem", set_as_current=True)
app.conf.update(
    broker_url=settings.TEM_REDIS_URL,
    broker_transport_options=TRANSPORT,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_default_queue="ops",
    task_queues=[Queue(name) for name in QUEUES],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_soft_time_limit=SOFT_LIMIT_S,
    task_time_limit=HARD_LIMIT_S,
    task_ignore_result=True,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_concurrency=settings.TEM_MAX_PARALLELISM,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_soft_shutdown_timeout=45,
    worker_enable_soft_shutdown_on_idle=False,
    worker_hijack_root_logger=False,
    worker_send_task_events=True,
    timezone="UTC",
    enable_utc=True,
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    beat_max_loop_interval=5,
    CELERY_DB_REUSE_MAX=1000,  # Celery itself closes no sooner; `look_at_connection` does
)
app.autodiscover_tasks()
app.autodiscover_tasks(["tem"], related_name="pipeline")
app.autodiscover_tasks(["tem"], related_name="watch")

KEPT_S = 60  # a database connection of a pool child
LOOKED_AT_S = 0.25  # steps that follow each other so closely need not ask each time whether it is still there
_looked = {"at": 0.0}


@worker_process_init.connect
def keep_connections(**_: Any) -> None:
    """A new connection for each step costs more than the ledger's own statements."""
    from django.db import connections

    connections.settings["default"] |= {"CONN_MAX_AGE": KEPT_S, "CONN_HEALTH_CHECKS": True}


@worker_process_init.connect
def send_spans(**_: Any) -> None:
    telemetry.begin("worker")


@worker_process_shutdown.connect
def send_last_spans(**_: Any) -> None:
    telemetry.end()


@task_prerun.connect
def look_at_connection(**_: Any) -> None:
    """Close one that is old or broken, and have one that is kept answer before the step is claimed over it.

    Without this a restart of the database would fail the next task of every pool child.
    """
    from django.db import connection

    if connection.errors_occurred or time.monotonic() - _looked["at"] > LOOKED_AT_S:
        connection.close_if_unusable_or_obsolete()
    _looked["at"] = time.monotonic()


@beat_init.connect
def seed_schedule(**_: Any) -> None:
    """Write the table's entries that the database lacks; what an admin changed stays."""
    from django_celery_beat.models import PeriodicTask

    for entry in BEAT:
        if not PeriodicTask.objects.filter(name=entry.name).exists():
            PeriodicTask.objects.get_or_create(
                name=entry.name, defaults={"task": entry.task, "queue": entry.queue, **when(entry)}
            )


def when(entry: Entry) -> dict[str, Any]:
    """The columns of the beat table that say when: seconds, or local times."""
    from django_celery_beat.models import CrontabSchedule, IntervalSchedule

    if entry.every_s:
        every, _ = IntervalSchedule.objects.get_or_create(
            every=entry.every_s, period=IntervalSchedule.SECONDS
        )
        return {"interval": every, "expire_seconds": entry.every_s}
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    fields = dict(zip(names, entry.at.split(), strict=True))
    times, _ = CrontabSchedule.objects.get_or_create(**fields, timezone=settings.TEM_TIMEZONE)
    return {"crontab": times}

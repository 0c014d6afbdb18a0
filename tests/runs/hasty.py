"""The product's Celery app with less patience, so that a test need not wait: `celery -A tests.runs.hasty`."""

from __future__ import annotations

import datetime as dt
from typing import Any

from celery.signals import worker_init

from tem.celery import app

__all__ = ["app"]  # what `-A` looks for

app.conf.worker_soft_shutdown_timeout = 0.5


@worker_init.connect
def hurry(**_: Any) -> None:
    from apps.runs import reconcile  # models can be imported only now
    from tem import pipeline

    reconcile.PATIENCE = dt.timedelta(seconds=1)
    pipeline.TIMER_S = 0.5

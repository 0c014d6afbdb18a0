"""Hints to Celery's workers that a step of the ledger is due. One that is lost is only repeated later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from apps.runs.reconcile import Due

log = structlog.get_logger(__name__)


def send(steps: Sequence[Due], *, tasks: dict[str, Any]) -> None:
    """Tell workers of the steps; `tasks` is phase -> task. Without a broker nobody is told for now.

    A hint is not repeated while as many as there are such steps still wait in its queue: a long
    queue would grow with every turn of the reconciler.
    """
    if not steps:
        return
    repeated = Counter(tasks[step.phase].queue for step in steps if step.again)
    try:
        with current_app.connection_for_write() as connection:
            full = {name for name, count in repeated.items() if waiting(name, connection=connection) >= count}
            for step in steps:
                task = tasks[step.phase]
                if not (step.again and task.queue in full):
                    ids = {"run_id": step.run_id, "step_id": step.step_id}
                    task.apply_async(kwargs=ids, connection=connection, retry=False)
    except OperationalError as error:
        log.warning("the broker is away: steps wait in the ledger", error=str(error), steps=len(steps))


def waiting(queue: str, *, connection: Any) -> int:
    """How many messages stand in a queue."""
    return int(connection.default_channel.queue_declare(queue=queue, passive=True).message_count)


def has_worker(*, within_s: float = 1.0) -> bool:
    """Whether any worker answers; with a broker that is away there is none."""
    try:
        return bool(current_app.control.ping(timeout=within_s, limit=1))
    except OperationalError:
        return False

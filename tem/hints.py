"""Hints to Celery's workers that a step of the ledger is due. One that is lost is only repeated later."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from apps.runs.reconcile import Due

ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_max": 0}  # a pooled connection may be stale

log = structlog.get_logger(__name__)


class Door(NamedTuple):
    """A task that does the steps of a phase, and the queue of the workers that do it."""

    task: Any
    queue: str


def send(steps: Sequence[Due], *, doors: Mapping[str, Door]) -> None:
    """Tell workers of the steps; `doors` is by phase. Without a broker nobody is told for now.

    A hint is not repeated while as many as there are such steps still wait in its queue: a long
    queue would grow with every turn of the reconciler.
    """
    if not steps:
        return
    try:
        full = _full(Counter(doors[step.phase].queue for step in steps if step.again))
        with current_app.producer_or_acquire() as producer:
            for step in steps:
                task, queue = doors[step.phase]
                if not (step.again and queue in full):
                    ids = {"run_id": step.run_id, "step_id": step.step_id}
                    told = {"retry": True, "retry_policy": ONCE_MORE, "producer": producer}
                    task.apply_async(kwargs=ids, queue=queue, **told)
    except OperationalError as error:
        log.warning("the broker is away: steps wait in the ledger", error=str(error), steps=len(steps))


def _full(repeated: Counter[str]) -> set[str]:
    """Of these queues, with the steps to repeat in each, those that hold as many hints already."""
    if not repeated:
        return set()
    with current_app.connection_for_write() as link:
        return {queue for queue, count in repeated.items() if waiting(queue, link=link) >= count}


def waiting(queue: str, *, link: Any) -> int:
    """How many messages stand in a queue.

    Redis is asked itself: kombu's passive declaration forgets the key prefix, and finds no queue.
    """
    return int(link.default_channel.client.llen(queue))


def has_worker(*, within_s: float = 1.0) -> bool:
    """Whether any worker answers; with a broker that is away there is none.

    A ping is heard by those that are up when it is sent, so it is repeated for one that still starts.
    """
    deadline = time.monotonic() + within_s
    while (left := deadline - time.monotonic()) > 0:
        try:
            if current_app.control.ping(timeout=min(left, 1.0), limit=1):
                return True
        except OperationalError:
            return False
    return False

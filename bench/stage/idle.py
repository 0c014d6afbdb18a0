"""The product's Celery app with one more kind of run, whose steps do nothing: only the ledger's own is left.

Workers are started with `celery -A stage.idle`. `TEM_BENCH_STEPS`: how many projects the run has.
"""

# ruff: noqa: E402 (models can be imported only once Django is set up)
from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tem.settings")
django.setup()

from celery import shared_task

from apps.runs.ledger import Claim
from apps.runs.phases import Phase
from tem import pipeline
from tem.celery import app
from tem.hints import Door

__all__ = ["app"]  # what `-A` looks for

KIND = "idle"
STEPS = int(os.environ.get("TEM_BENCH_STEPS", "300"))


@shared_task(name="tem.bench.idle", **pipeline.SHORT)
def idle_task(*, run_id: int, step_id: int) -> None:
    pipeline.take(step_id, nothing)


@shared_task(name="tem.bench.bare", ignore_result=True, **pipeline.SHORT)
def bare_task(*, run_id: int, step_id: int) -> None:
    """A message and no more: the least that Celery needs."""


def nothing(step: Claim) -> None:
    """The work of a step that is none."""


def projects() -> dict[int, str]:
    return {number: f"toman/group-{number % 7}/project-{number}" for number in range(1, STEPS + 1)}


pipeline.PLANS[KIND] = (Phase("open"), Phase("each", projects=projects), Phase("shut"))
for name, queue in (("open", "collect"), ("each", "collect"), ("shut", "ops")):
    pipeline.DOORS[name] = Door(idle_task, queue=queue)

"""What the doors call to steer a run: `apps.runs.controls` with the plans and the workers of this product.

The admin, the commands, the API and Flower's page all come here, and differ in who asks only.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from apps.runs import controls
from apps.runs.controls import Order
from apps.runs.models import Run, RunAction, RunStep
from tem import clock, pipeline

SLOT = "asked "
LONGEST_KEY = 58  # a slot's name has 64 characters


def order(who: str, *, now: dt.datetime, key: str = "") -> Order:
    """A request; without a key of its own it gets one that nobody else has."""
    return Order(who=who, key=key or str(uuid.uuid4()), now=now)


def start(kind: str, *, order: Order, **asked: Any) -> Run:
    """Have the product run once, as `pipeline.start`; the same key is answered with the same run.

    Raises NotNow for a key of another request, BadRequest, NoHistory.
    """
    if run := controls.started(kind, order=order):
        return run
    run = pipeline.start(kind, slot=f"{SLOT}{order.key}", now=order.now, **asked)
    controls.note_start(run, order=order, asked={name: str(value) for name, value in asked.items()})
    return run


def cancel(run_id: int, *, order: Order) -> RunAction:
    """End the run as it stands. Raises NotNow, Run.DoesNotExist."""
    return controls.cancel(run_id, order=order)


def retry(run_id: int, *, order: Order, cause: str = "", step_id: int | None = None) -> RunAction:
    """Have the run's lost steps tried again (all, of one cause, or one), and tell workers of them.

    The run's own day moves to today's, for what is collected now reaches as far. Raises NotNow,
    Run.DoesNotExist.
    """
    kind = Run.objects.get(pk=run_id).kind
    action = controls.retry(
        run_id,
        plan=pipeline.PLANS[kind],
        order=order,
        cause=cause,
        step_id=step_id,
        renewed={"today": clock.day_of(order.now).isoformat()},
    )
    pipeline.move_on(run_id, kind=kind)
    return action


def retry_step(step_id: int, *, order: Order) -> RunAction:
    """The same for one step, of whatever run it is. Raises NotNow, RunStep.DoesNotExist."""
    return retry(RunStep.objects.get(pk=step_id).run_id, order=order, step_id=step_id)

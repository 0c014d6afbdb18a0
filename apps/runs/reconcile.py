"""What keeps a run going whatever was lost: leases of the dead, hints that never came, phases left open.

Called by beat, by a timer in every worker, and when a stack starts; a PostgreSQL advisory lock lets
one of them in at a time. Redis may be emptied at any moment: that costs one period, never a step.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import NamedTuple

from django.db import DatabaseError, connection, transaction
from django.db.models import Q, QuerySet

from apps.runs import holder
from apps.runs.ledger import ATTEMPTS
from apps.runs.models import Run, RunStep
from apps.runs.phases import Plan, advance

PATIENCE = dt.timedelta(seconds=10)  # a hint that led to nothing for so long may be lost
_LOCK = 0x7E4D  # any number, as long as nobody else of this database uses it

STOPPED = "its worker stopped before the step was done, five times over"

# Of a run that may have few steps at once no more are told of than have a place; no limit is null.
_DUE = """
with due as (
    select step.id, step.again
      from run
      join lateral (
          select step.id,
                 coalesce(step.hinted_at >= coalesce(step.not_before, step.hinted_at), false) as again
            from run_step step
           where step.run_id = run.id and step.state = 'pending'
             and coalesce(step.not_before, %(now)s) <= %(now)s
             and (step.hinted_at is null or step.hinted_at < step.not_before or step.hinted_at <= %(stale)s)
           order by step.id
           limit case when run.parallelism is not null then greatest(0, run.parallelism - (
               select count(*)
                 from run_step busy
                where busy.run_id = run.id
                  and (busy.state = 'leased' or busy.state = 'pending' and busy.hinted_at > %(stale)s)
           )) end
             for update skip locked
      ) step on true
     where run.state = 'active' and (run.id = %(run)s or %(run)s::bigint is null)
)
update run_step step
   set hinted_at = %(now)s
  from due
 where step.id = due.id
returning step.id, step.run_id, step.phase, due.again, step.label
"""


class Due(NamedTuple):
    """A step that a worker should be told of; `again` when one was, and the hint may still be under way."""

    step_id: int
    run_id: int
    phase: str
    again: bool
    label: str = ""


def reconcile(*, plans: dict[str, Plan], now: dt.datetime) -> list[Due] | None:
    """Free what the dead hold, move every active run on, answer the steps to tell workers of.

    None when another process is doing it this very moment.
    """
    with transaction.atomic():
        with connection.cursor() as sql:
            sql.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not sql.fetchone()[0]:
                return None
        # Runs are locked before steps, here as everywhere: the other way round would deadlock.
        runs = list(Run.objects.select_for_update().filter(state=Run.State.ACTIVE).order_by("id"))
        release_leases(now=now)
        _expire(now=now)
        for run in runs:
            if run.kind in plans:
                advance(run.pk, plan=plans[run.kind], now=now)
        return due(now=now)


def release_leases(*, now: dt.datetime) -> int:
    """Take back at once what provably dead processes hold; answers how many steps.

    Safe at any moment: a holder is named by machine boot, pid namespace, pid and start time, and only
    one that this very process table must show, and does not, is dead (`holder.is_dead`).
    """
    leased = RunStep.objects.filter(state=RunStep.State.LEASED)
    held = leased.order_by().values_list("holder", flat=True).distinct()
    dead = [name for name in held if holder.is_dead(name)]
    return _free(leased.filter(holder__in=dead), now=now) if dead else 0


def _expire(*, now: dt.datetime) -> int:
    return _free(RunStep.objects.filter(state=RunStep.State.LEASED, lease_until__lt=now), now=now)


def _free(steps: QuerySet[RunStep], *, now: dt.datetime) -> int:
    spent = Q(attempt__gte=ATTEMPTS)
    lost = steps.filter(spent).update(
        state=RunStep.State.QUARANTINED,
        lease_until=None,
        finished_at=now,
        error_class="WorkerStopped",
        error_text=STOPPED,
    )
    return lost + steps.filter(~spent).update(state=RunStep.State.PENDING, lease_until=None, hinted_at=None)


def due(*, now: dt.datetime, run_id: int | None = None) -> list[Due]:
    """Steps that may be claimed now and of which no worker was told lately; marks them as told."""
    with connection.cursor() as sql:
        sql.execute(_DUE, {"now": now, "run": run_id, "stale": now - PATIENCE})
        return in_turns([Due(*row) for row in sorted(sql.fetchall())])


def in_turns(steps: Sequence[Due], *, depth: int = 0) -> list[Due]:
    """The steps, one of each namespace in turn, and within it one of each namespace below.

    So the projects of one huge group do not stand before everybody else's.
    """
    ours: dict[str, list[Due]] = {}
    for step in steps:
        ours.setdefault("/".join(step.label.split("/")[: depth + 1]), []).append(step)
    is_leaf = all(len(step.label.split("/")) <= depth + 1 for step in steps)
    if is_leaf:
        return list(steps)
    queues = [in_turns(queue, depth=depth + 1) for queue in ours.values()]
    return [step for turn in zip_longest(*queues) for step in turn if step is not None]


def keep_going(reconcile_now: Callable[[], object], *, every_s: float, over: threading.Event) -> None:
    """Call `reconcile_now` now and every `every_s` seconds until `over` is set; a thread's whole life.

    A database that is away is met again at the next turn.
    """
    while True:
        with suppress(DatabaseError):
            reconcile_now()
        connection.close()
        if over.wait(every_s):
            return


def forget_hints() -> None:
    """No worker is there, so whatever hint was given has reached nobody: give them all again."""
    RunStep.objects.filter(state=RunStep.State.PENDING).update(hinted_at=None)

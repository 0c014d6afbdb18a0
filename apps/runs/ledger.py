"""The ledger: which runs were accepted, who may work on which step, and what came of it.

Celery's messages are hints; these rows are the truth. A worker claims a step by one conditional
UPDATE that answers a fence; whatever it writes later is refused once somebody else holds a newer one.
Knows no step's meaning.
"""

from __future__ import annotations

import datetime as dt
import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import IntegrityError, connection, transaction

from apps.runs import holder
from apps.runs.errors import LostClaim, RunBusy
from apps.runs.models import Run, RunStep

LEASE = dt.timedelta(seconds=60)
ATTEMPTS = 5
MOST_CLAIMS = 200  # even of a step that gets a little further each time

_CLAIM = """
update run_step step
   set state = 'leased', fence = step.fence + 1, attempt = step.attempt + 1, holder = %(holder)s,
       lease_until = %(until)s, not_before = null, started_at = coalesce(step.started_at, %(now)s)
  from run
 where step.id = %(step)s and run.id = step.run_id and run.state = 'active' and step.attempt < %(attempts)s
   and (step.state = 'pending' and coalesce(step.not_before, %(now)s) <= %(now)s
        or step.state = 'leased' and step.lease_until < %(now)s)
   and (run.parallelism is null or %(is_counted)s and run.parallelism >
        (select count(*) from run_step busy
          where busy.run_id = run.id and busy.state = 'leased' and busy.id <> step.id))
   and not exists (select from run_step other
                    where coalesce(other.project_id, 0) = coalesce(step.project_id, 0)
                      and other.state = 'leased' and other.id <> step.id)
returning step.id, step.run_id, step.project_id, step.label, step.phase, step.fence, step.attempt,
          run.kind, run.parallelism is not null, step.cursor, run.parameters
"""

# Claims of a run that may have few steps at once come one by one, or two would count the same free place.
_LINE_UP = """
select from run
 where id = (select run_id from run_step where id = %(step)s) and state = 'active' and parallelism is not null
   for update
"""

_SAVE = """
update run_step
   set rows = rows + %(rows)s, requests = requests + %(requests)s,
       cursor = coalesce(%(cursor)s::jsonb, cursor),
       lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
 where id = %(step)s and fence = %(fence)s and state = 'leased'
"""

# Every step of every run ends with it, and the ORM takes as long to word it as PostgreSQL to do it.
_FINISH = """
update run_step
   set state = 'done', lease_until = null, finished_at = %(now)s, error_class = '', error_text = '',
       cursor = coalesce(%(cursor)s::jsonb, cursor)
 where id = %(step)s and fence = %(fence)s and state = 'leased'
"""


class Progress(Protocol):
    """What a step's work reports to: rows and requests since the last call, and where it stands."""

    cursor: dict[str, Any]

    def save(self, *, rows: int = 0, requests: int = 0, cursor: dict[str, Any] | None = None) -> None: ...


@dataclass
class Unrecorded:
    """A Progress without a ledger: work done by hand or in a test, counted in memory."""

    cursor: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    requests: int = 0

    def save(self, *, rows: int = 0, requests: int = 0, cursor: dict[str, Any] | None = None) -> None:
        self.rows += rows
        self.requests += requests
        self.cursor = self.cursor if cursor is None else cursor


@dataclass
class Claim:
    """The right to work on one step, as long as the lease lasts and the fence is the newest."""

    step_id: int
    run_id: int
    project_id: int | None
    label: str
    phase: str
    fence: int
    attempt: int
    cursor: dict[str, Any]
    kind: str
    is_limited: bool
    parameters: dict[str, Any]
    pages: int = 0  # stored under this claim

    def save(self, *, rows: int = 0, requests: int = 0, cursor: dict[str, Any] | None = None) -> None:
        """Add the counts, keep the cursor, extend the lease; call it in the page's own transaction.

        Raises LostClaim when the fence is not ours any more, which undoes the page.
        """
        told = {"rows": rows, "requests": requests, "cursor": None if cursor is None else json.dumps(cursor)}
        with connection.cursor() as sql:
            sql.execute(
                _SAVE, {**told, "lease": LEASE.total_seconds(), "step": self.step_id, "fence": self.fence}
            )
            if sql.rowcount != 1:
                raise self.lost()
        self.pages += bool(rows or requests or cursor)
        if cursor is not None:
            self.cursor = cursor

    def lost(self) -> LostClaim:
        """The error that says so."""
        return LostClaim(f"{self.phase} of {self.label or 'all projects'} is not ours any more.")


def open_run(kind: str, *, slot: str, parameters: dict[str, Any], now: dt.datetime) -> Run:
    """The run of this kind and slot, opened if need be.

    While a run of the kind is active every request joins it: the answer is that run, with `joined`
    set. A (kind, slot) that has ended is answered as it ended, never opened twice.
    """
    wanted = {"parameters": parameters, "requested_at": now}
    for _ in range(3):  # the active run may end between our insert and our look
        try:
            with transaction.atomic():
                return Run.objects.create(kind=kind, slot=slot, **wanted)
        except IntegrityError:
            same_slot = Run.objects.filter(kind=kind, slot=slot).first()
            run = same_slot or Run.objects.filter(kind=kind, state=Run.State.ACTIVE).first()
        if run is not None:
            run.joined = True
            return run
    raise RunBusy(f"No {kind} run could be opened or joined: they come and go too fast. Ask again.")


def claim(step_id: int, *, now: dt.datetime) -> Claim | None:
    """The step, if it is due and nobody writes to its project; None otherwise, which is no error."""
    wanted: dict[str, Any] = {
        "step": step_id,
        "holder": holder.me(),
        "now": now,
        "until": now + LEASE,
        "attempts": ATTEMPTS,
    }
    # A statement that stands alone needs no transaction around it: that would be two more trips.
    alone = transaction.atomic() if connection.in_atomic_block else nullcontext()
    try:
        with alone, connection.cursor() as sql:
            sql.execute(_CLAIM, {**wanted, "is_counted": False})
            row = sql.fetchone()
        row = row or _claim_in_line(wanted)
    except IntegrityError:  # somebody else's claim for the same project won by a hair
        return None
    if row is None:
        return None
    names = ("step_id", "run_id", "project_id", "label", "phase", "fence", "attempt", "kind", "is_limited")
    *plain, cursor, parameters = row
    return Claim(**dict(zip(names, plain, strict=True)), cursor=_read(cursor), parameters=_read(parameters))


def _claim_in_line(wanted: dict[str, Any]) -> tuple[Any, ...] | None:
    """The row of a claim for a run that may have few steps at once; None for any other run."""
    with transaction.atomic(), connection.cursor() as sql:
        sql.execute(_LINE_UP, wanted)
        if not sql.rowcount:
            return None
        sql.execute(_CLAIM, {**wanted, "is_counted": True})
        row: tuple[Any, ...] | None = sql.fetchone()
        return row


def _read(value: Any) -> dict[str, Any]:
    """Django hands JSON columns of raw SQL over as text."""
    return json.loads(value) if isinstance(value, str) else value


def finish(claim: Claim, *, cursor: dict[str, Any] | None, now: dt.datetime) -> None:
    """The step is done. Raises LostClaim when somebody else holds it."""
    told: dict[str, Any] = {"step": claim.step_id, "fence": claim.fence, "now": now}
    with connection.cursor() as sql:
        sql.execute(_FINISH, {**told, "cursor": None if cursor is None else json.dumps(cursor)})
        if sql.rowcount != 1:
            raise claim.lost()


def leave_out(claim: Claim, *, error: Exception, now: dt.datetime) -> None:
    """The step can never succeed as things are: no further attempt, the run goes on without it."""
    _settle(claim, state=RunStep.State.FAILED, finished_at=now, **_told(error))


def put_back(
    claim: Claim, *, error: BaseException, after: dt.timedelta, is_fruitful: bool, now: dt.datetime
) -> None:
    """Try the step again after a while; the fifth attempt that led to nothing quarantines it.

    `is_fruitful`: the attempt got somewhere before it had to stop, so it is not counted.
    """
    if is_fruitful and claim.fence < MOST_CLAIMS:
        state, attempt = RunStep.State.PENDING, claim.attempt - 1
    else:
        is_last = claim.attempt >= ATTEMPTS
        state, attempt = RunStep.State.QUARANTINED if is_last else RunStep.State.PENDING, claim.attempt
    ended = now if state == RunStep.State.QUARANTINED else None
    _settle(claim, state=state, attempt=attempt, not_before=now + after, finished_at=ended, **_told(error))


def _settle(claim: Claim, **changes: Any) -> None:
    mine = RunStep.objects.filter(pk=claim.step_id, fence=claim.fence, state=RunStep.State.LEASED)
    if not mine.update(lease_until=None, **changes):
        raise claim.lost()


def _told(error: BaseException) -> dict[str, str]:
    """The error in a row: its first line only, for a database's second line may quote what was in a row."""
    text = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    return {"error_class": type(error).__name__, "error_text": text[:500]}

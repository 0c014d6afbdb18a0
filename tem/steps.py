"""From a claim to what came of it: every way in which a step's work can end, in one place.

Anticipated errors become rows of the ledger here; whatever nobody anticipated is logged with its
traceback and tried again, five times at most. Nothing is swallowed.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection

from apps.collector.errors import GitlabRefused, GitlabUnavailable, OutOfBudget, TokenRefused
from apps.runs import ledger, phases
from apps.runs.errors import LostClaim
from apps.runs.lease import kept
from apps.runs.ledger import Claim
from apps.runs.models import Run
from tem import clock, ids, telemetry

Work = Callable[[Claim], dict[str, Any] | None]
"""What a step does; it answers the cursor to keep with the finished step, or None to keep what was saved."""

LONGEST_WAIT_S = 900
DATABASE_WAITS_S = (0.1, 0.5, 1, 2, 4, 8, 16)  # together shorter than a lease

log = structlog.get_logger(__name__)


def attempt(claim: Claim, work: Work) -> None:
    """Do the work under a lease that is kept alive, and enter in the ledger how it ended."""
    begun = time.monotonic()
    with ids.during(**_ids(claim)):
        try:
            with telemetry.span(f"step {claim.phase}", attempt=claim.attempt), kept(claim):
                cursor = work(claim)
            ledger.finish(claim, cursor=cursor, now=clock.now())
            log.info("step done", attempt=claim.attempt, took_s=round(time.monotonic() - begun, 3))
        except LostClaim:
            log.info("claim lost")
        except Exception as error:
            _wait_for_database()
            _enter(claim, error)


def _ids(claim: Claim) -> dict[str, Any]:
    """What every line and span of the step bears."""
    return {"run": claim.run_id, "step": claim.step_id, "phase": claim.phase, "project": claim.project_id}


def _wait_for_database() -> None:
    """One that restarts is waited for, or else the step would stand still until its lease has run out."""
    if not connection.is_usable():
        connection.close()
    for wait_s in DATABASE_WAITS_S:
        try:
            return connection.ensure_connection()
        except OperationalError:
            time.sleep(wait_s)


def _enter(claim: Claim, error: Exception) -> None:
    """Enter an attempt that did not succeed; by then the step may be another's, which is fine."""
    try:
        match error:
            case TokenRefused():
                phases.end_run(claim.run_id, state=Run.State.FAILED, reason=str(error), now=clock.now())
            case GitlabRefused():
                ledger.leave_out(claim, error=error, now=clock.now())
            case GitlabUnavailable() if _is_hopeless(claim):
                ledger.leave_out(claim, error=error, now=clock.now())
            case OutOfBudget():
                _put_back(claim, error, after_s=error.retry_after_s, is_fruitful=True)
            case GitlabUnavailable():
                _put_back(claim, error, after_s=_wait_s(claim, error), is_fruitful=claim.pages > 0)
            case SoftTimeLimitExceeded():
                _put_back(claim, error, after_s=0, is_fruitful=claim.pages > 0)
            case _:
                log.exception("step failed", attempt=claim.attempt, exc_info=error)
                _put_back(claim, error, after_s=2**claim.attempt, is_fruitful=False)
    except LostClaim:
        log.info("claim lost")


def _put_back(claim: Claim, error: Exception, *, after_s: float, is_fruitful: bool) -> None:
    after = dt.timedelta(seconds=after_s)
    ledger.put_back(claim, error=error, after=after, is_fruitful=is_fruitful, now=clock.now())


def _is_hopeless(claim: Claim) -> bool:
    """Somebody asked for this run and GitLab was not even there to begin with: better to say so soon."""
    return claim.project_id is None and not claim.parameters["scheduled"] and claim.attempt >= 2


def _wait_s(claim: Claim, error: GitlabUnavailable) -> float:
    """Twice as long after each fruitless attempt, at least what GitLab asked for, 15 minutes at most.

    A run by schedule has the night; one that somebody asked for has a person who waits.
    """
    first_s = 60.0 if claim.parameters["scheduled"] else 5.0
    return min(LONGEST_WAIT_S, max(first_s * 2.0 ** (claim.attempt - 1), error.retry_after_s))

"""Waiting for a run at a terminal, with a worker of our own where nobody else has one."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.db import connection

from apps.runs import progress
from apps.runs.forecast import Forecast
from apps.runs.models import Run, RunStep
from apps.runs.progress import Snapshot
from apps.runs.reconcile import forget_hints
from tem import clock, deadline, hints
from tem.screen import screen_for
from tem.supervisor import Stopped, Supervisor

LOOK_S, FORECAST_EVERY_S = 0.3, 5.0
WORKER = (sys.executable, "-m", "celery", "-A", "tem", "worker", "-Q", "collect,compute,export,ops")
QUIET = ("--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat")
STACK_PATIENCE_S = 20.0  # a stack's worker may still be starting when the stack's run already waits
IDLE_S = 15.0  # steps are due and nobody took one for so long: ask again whether a worker is there


class Waiting:
    """One person waiting for one run. `out` is where the progress goes."""

    def __init__(self, run_id: int, *, out: Any) -> None:
        self.run_id, self.out = run_id, out
        self.stack = ExitStack()
        self.look: Callable[[float], None] = time.sleep
        self.idle_since: float | None = None
        self.forecast: Forecast | None = None
        self.forecast_at = -FORECAST_EVERY_S

    def until_over(self) -> Run:
        """Show the run until it has ended, and answer it as it ended.

        Ctrl-C and SIGTERM leave with 130; the run stays in the ledger and the next worker goes on.
        """
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with self.stack:
                self._have_a_worker(patience_s=STACK_PATIENCE_S if "TEM_STACK_ID" in os.environ else 1.0)
                return self._watch().run
        except (KeyboardInterrupt, Stopped):
            self.out.write(f"\nRun {self.run_id} is not over; it goes on with the next worker.")
            sys.exit(130)

    def _watch(self) -> Snapshot:
        with screen_for(self.out) as screen:
            while True:
                seen = progress.snapshot(self.run_id, now=clock.now())
                screen.show(seen, now=clock.now(), expected=self._expected(seen.run))
                if seen.is_over:
                    return seen
                if self._is_idle():
                    self._have_a_worker(patience_s=1.0)
                connection.close()
                self.look(LOOK_S)

    def _expected(self, run: Run) -> Forecast | None:
        """When it will probably be done; looked at less often than the run itself."""
        if time.monotonic() - self.forecast_at > FORECAST_EVERY_S:
            self.forecast, self.forecast_at = deadline.expected(run, now=clock.now()), time.monotonic()
        return None if run.state != Run.State.ACTIVE else self.forecast

    def _is_idle(self) -> bool:
        """Whether steps have been due for a while and no worker took one."""
        steps = RunStep.objects.filter(run_id=self.run_id)
        is_moving = steps.filter(state=RunStep.State.LEASED).exists()
        is_waiting = steps.filter(state=RunStep.State.PENDING, not_before__gt=clock.now()).exists()
        if is_moving or is_waiting:
            self.idle_since = None
            return False
        self.idle_since = self.idle_since or time.monotonic()
        return time.monotonic() - self.idle_since > IDLE_S

    def _have_a_worker(self, *, patience_s: float) -> None:
        """Start a worker that ends with us, even if we are killed, unless one answers."""
        self.idle_since = None
        if hints.has_worker(within_s=patience_s):
            return
        self.out.write("No worker is up, so this command works itself until the run is over.")
        forget_hints()
        runner = Supervisor(logs=settings.TEM_HOME / "logs", variables=os.environ, grace_s=2)
        self.stack.enter_context(runner)
        runner.start(f"worker-of-run-{self.run_id}", [*WORKER, *QUIET])
        self.look = lambda seconds: runner.look(wait_s=seconds)

"""A world whose answers can be held back, and a run driven by hand: to stop exactly where a test wants."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

from django.db.models import Q

from apps.runs.models import Run, RunStep
from tem import clock, pipeline
from tests.acceptance.plain_gitlab import World
from tests.acceptance.small_world import small_world


def a_world(midnight: dt.datetime) -> World:
    """The small world on a server that tells its version."""
    return small_world(midnight) | {"/version": {"version": "17.0.0", "enterprise": False}}


class Gate(dict[str, Any]):
    """A world for `plain_gitlab.serving`. The first question for `at` waits until `open` is called."""

    def __init__(self, world: dict[str, Any], *, at: str = "") -> None:
        super().__init__(world)
        self.at = at
        self.reached, self._opened = threading.Event(), threading.Event()
        self.asked: list[str] = []

    def get(self, path: str, default: Any = None) -> Any:  # what the server looks answers up with
        self.asked.append(path)
        if path == self.at and not self.reached.is_set():
            self.reached.set()
            self._opened.wait(timeout=60)
        return super().get(path, default)

    def open(self) -> None:
        self._opened.set()


def wait_until(is_so: Callable[[], bool], *, seconds: float = 30) -> None:
    """Look again and again until it is so; AssertionError after `seconds`."""
    pause, never = threading.Event(), seconds
    while not is_so():
        assert never > 0, "it did not come to pass"
        pause.wait(0.05)
        never -= 0.05


def drain(run: Run) -> Run:
    """Do every step of the run that may be done now, as workers would, until none is left."""
    due = Q(not_before__isnull=True) | Q(not_before__lte=clock.now())
    while step := RunStep.objects.filter(due, run=run, state="pending").first():
        pipeline.DOORS[step.phase].task(run_id=run.pk, step_id=step.pk)
    run.refresh_from_db()
    return run

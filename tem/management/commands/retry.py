"""`manage.py retry RUN [--cause X] [--step N]`: have a run's lost steps tried again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tem import clock, controls, hints
from tem.management import terminal


class Command(BaseCommand):
    help = "Try a run's failed and quarantined steps again. Exit status 2 when that cannot be."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, help="the number of the run")
        parser.add_argument("--cause", default="", help="only steps lost to this error, as GitlabUnavailable")
        parser.add_argument("--step", type=int, help="only the step of this number")

    def handle(self, *_: Any, run: int, cause: str, step: int | None, **__: Any) -> None:
        order = controls.order(terminal.person(), now=clock.now())
        with terminal.refusals():
            action = controls.retry(run, order=order, cause=cause, step_id=step)
        self.stdout.write(action.answer)
        if action.steps and not hints.has_worker():
            self.stdout.write("No worker is up: the steps begin with the next one (make up).")

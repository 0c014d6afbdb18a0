"""`manage.py cancel RUN`: end a run as it stands."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tem import clock, controls
from tem.management import terminal


class Command(BaseCommand):
    help = "End a run as it stands; a retry takes it up again. Exit status 2 when it cannot be."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, help="the number of the run")

    def handle(self, *_: Any, run: int, **__: Any) -> None:
        order = controls.order(terminal.person(), now=clock.now())
        with terminal.refusals():
            self.stdout.write(controls.cancel(run, order=order).answer)

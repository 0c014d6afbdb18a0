"""`manage.py run KIND`: ask for a run, and with --wait stay until it has ended."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.orgmap.models import Organisation
from apps.runs.models import Run
from tem import clock, controls, hints, pipeline, probes, waiting
from tem.environment import require_gitlab
from tem.errors import TemError
from tem.management import terminal

STATUS = {Run.State.DONE: 0, Run.State.PARTIAL: 3, Run.State.FAILED: 1, Run.State.CANCELLED: 1}


def day(text: str) -> dt.date:
    """A local day, YYYY-MM-DD."""
    return dt.date.fromisoformat(text)


class Command(BaseCommand):
    help = (
        "Run the product once. Exit status with --wait: 0 done, 3 partial, 1 not done; 2 for a bad request."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(pipeline.PLANS))
        parser.add_argument("--days", type=int, help=f"of a backfill (default {settings.TEM_BACKFILL_DAYS})")
        parser.add_argument("--from", dest="first", type=day, help="of a recompute (default: all of history)")
        parser.add_argument("--to", dest="last", type=day, help="of a recompute (default: today)")
        parser.add_argument("--wait", action="store_true", help="show its progress until it has ended")

    def handle(self, *_: Any, kind: str, wait: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("days", "first", "last") if options[name] is not None}
        check(kind, asked)
        have_a_database()
        try:
            pipeline.reconcile_now()  # what a killed stack left behind is taken up at once
            run = controls.start(kind, order=controls.order(terminal.person(), now=clock.now()), **asked)
        except TemError as refusal:
            raise CommandError(str(refusal), returncode=2) from refusal
        self.stdout.write(opening(run))
        if wait:
            run = waiting.Waiting(run.pk, out=self.stdout).until_over()
            self.stdout.write(ending(run))
            sys.exit(STATUS[Run.State(run.state)])
        if not hints.has_worker():
            self.stdout.write("No worker is up: the run begins with the next one (make up), or add --wait.")


def check(kind: str, asked: dict[str, Any]) -> None:
    """Refuse what makes no sense together before anything is opened."""
    if "days" in asked and kind != "backfill":
        raise CommandError("--days belongs to a backfill.", returncode=2)
    if {"first", "last"} & set(asked) and kind != "recompute":
        raise CommandError("--from and --to belong to a recompute.", returncode=2)
    if kind != "recompute":
        require_gitlab(url=settings.GITLAB_URL, token=settings.GITLAB_TOKEN)


def opening(run: Run) -> str:
    """What the person is told first: their own run, or the one that they joined."""
    days = f"from {run.parameters['first']} to {run.parameters['last']}"
    if run.joined:
        return f"A {run.kind} is under way already: run {run.pk}, {days}. Joining it."
    return f"Run {run.pk}: {run.kind} {days}."


def ending(run: Run) -> str:
    """How it ended, and why if it is not done."""
    return (
        f"Run {run.pk} is {run.state}."
        if run.state == Run.State.DONE
        else f"Run {run.pk} is {run.state}: {run.reason}"
    )


def have_a_database() -> None:
    """Prepare a database that nobody has prepared yet; leave with a plain word where there is none."""
    if problem := probes.database():
        raise CommandError(problem, returncode=2)
    if probes.migrations() or not Organisation.objects.exists():
        call_command("prepare")

"""What commands that steer a run share: who sits there, and how a refusal is said."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from apps.runs.errors import NotNow
from apps.runs.models import Run


def person() -> str:
    """The account of the machine that runs the command."""
    try:
        return f"{getpass.getuser()} at a terminal"
    except (KeyError, OSError):
        return "somebody at a terminal"


@contextmanager
def refusals() -> Iterator[None]:
    """Leave with status 2 and the reason when the run is unknown or it cannot be done."""
    try:
        yield
    except (NotNow, Run.DoesNotExist) as refusal:
        raise CommandError(str(refusal), returncode=2) from refusal

"""`manage.py notify test`: try every channel that alerts go to, and say what came of it."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tem import notify

TITLE, BODY = "TEM: this is a test", "Somebody asked for this with `manage.py notify test`. Nothing is wrong."


class Command(BaseCommand):
    help = "Exit status 0 if every channel took the message, 1 if one did not, 2 if none is set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["test"])

    def handle(self, *_: Any, **__: Any) -> None:
        channels = notify.channels()
        if not channels:
            self.stderr.write(
                "No channel is set: put addresses into TEM_NOTIFY_URLS (.env.example says how)."
            )
            sys.exit(2)
        taken = {channel.name: channel.tell(title=TITLE, body=BODY, is_good=True) for channel in channels}
        for name, is_taken in taken.items():
            self.stdout.write(f"{name}: {'sent' if is_taken else 'not taken: is its address right?'}")
        if not all(taken.values()):
            sys.exit(1)

"""`manage.py embedded up|down|status`: the embedded services by hand."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tem import embedded
from tem.servers import ServerFailed


class Command(BaseCommand):
    help = "Start, stop or look at the embedded PostgreSQL and Valkey of TEM_HOME."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["up", "down", "status"])

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])()

    def up(self) -> None:
        """They stay until `down`, whoever comes and goes."""
        try:
            embedded.up(settings.TEM_HOME)
        except ServerFailed as failure:
            raise CommandError(str(failure)) from failure
        self.status()

    def down(self) -> None:
        stopped = embedded.down(settings.TEM_HOME)
        self.stdout.write("stopped" if stopped else "nothing was running")

    def status(self) -> None:
        """Status 1 when nothing runs, so that scripts can ask."""
        found = embedded.status(settings.TEM_HOME)
        if found is None:
            raise CommandError("not running", returncode=1)
        servers = ", ".join(f"{name} (pid {pid})" for name, pid in found.pids.items())
        until = "until `embedded down`" if found.pinned else "until their last user ends"
        self.stdout.write(f"{servers} {until}; data in {settings.TEM_HOME}")

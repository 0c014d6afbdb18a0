"""`org import|export|check`: the org file as its keeper uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.orgmap.errors import OrgFileInvalid
from apps.orgmap.import_org import import_org, whole
from apps.orgmap.org_file import read, write
from tem import clock


class Command(BaseCommand):
    help = "Import, export or check the org file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["import", "export", "check"])
        parser.add_argument("--file", default=settings.TEM_ORG_FILE, help="default: TEM_ORG_FILE")
        parser.add_argument("--reason", default="", help="why, for the history of rules")

    def handle(self, *args: Any, action: str, file: str, reason: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(file, reason)
        except OrgFileInvalid as wrong:
            raise CommandError(str(wrong)) from None

    def _check(self, file: str, reason: str) -> None:
        read(file)
        self.stdout.write(f"{file} is in order.")

    def _import(self, file: str, reason: str) -> None:
        changes = import_org(
            read(file), now=clock.now(), by="command line", reason=reason or f"org import {file}"
        )
        self.stdout.write(f"{len(changes)} changes recorded." if changes else "Nothing changed.")

    def _export(self, file: str, reason: str) -> None:
        Path(file).write_text(write(whole()), encoding="utf-8")
        self.stdout.write(f"Written to {file}.")

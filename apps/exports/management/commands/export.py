"""`manage.py export DAY`: write the files of one day, or put a copy of them somewhere."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.exports import artifacts
from tem import clock
from tem.errors import TemError


def day_argument(text: str) -> dt.date:
    """A day as 2025-09-04."""
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it as 2025-09-04") from None


class Command(BaseCommand):
    help = "Write the daily files of DAY: published below TEM_EXPORT_DIR/daily, or copied to --out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("day", metavar="DAY", type=day_argument, help="a local day, as 2025-09-04")
        parser.add_argument("--format", choices=artifacts.FORMATS, help="one format; both without it")
        parser.add_argument("--out", metavar="DIR", type=Path, help="write copies here; nothing is published")

    def handle(self, *args: Any, day: dt.date, out: Path | None, **options: Any) -> None:
        now = clock.now()
        formats = [options["format"]] if options["format"] else artifacts.FORMATS
        try:
            paths = _copied(day, formats, out, now) if out else _published(day, formats, now)
        except (TemError, OSError) as error:
            raise CommandError(str(error)) from error
        for path in paths:
            self.stdout.write(str(path))
        if day == clock.day_of(now):
            self.stderr.write(f"{day} is not over: these numbers are provisional.")


def _copied(day: dt.date, formats: Any, out: Path, now: dt.datetime) -> list[Path]:
    return artifacts.copy_day(day, formats=formats, directory=out, now=now)


def _published(day: dt.date, formats: Any, now: dt.datetime) -> list[Path]:
    directory = Path(settings.TEM_EXPORT_DIR)
    standing = artifacts.write_days([day], formats=formats, directory=directory, now=now)
    return [directory / artifacts.FOLDER / f"{row.day}.{row.format}" for row in standing]

"""`manage.py summary`: the numbers of the org and its business lines in the terminal."""

from __future__ import annotations

import shutil
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from apps.exports.pages import latest_day, name_of
from apps.exports.standing import standing
from apps.exports.summaries import scopes
from apps.exports.tiles import tiles
from apps.metrics.models import Scope
from tem import clock

_WIDE = (Scope.Kind.ORG, Scope.Kind.BUSINESS_LINE)


class Command(BaseCommand):
    help = "Print the last complete day's values of the org and of each business line."

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        house = standing(now=now)
        day = latest_day(house, today=clock.day_of(now))
        if day is None:
            raise CommandError("There are no values yet. Say: manage.py run backfill --wait")
        about = [scope for scope in scopes() if scope.kind in _WIDE]
        table = Table(title=f"{house.org}, {day:%A %-d %B %Y}", caption=_caption(house), header_style="bold")
        table.add_column("metric", min_width=24)
        for scope in about:
            table.add_column(name_of(scope, house.org), justify="right")
        for row in zip(*(tiles(scope, day) for scope in about), strict=True):
            if any(tile.figure for tile in row):
                table.add_row(row[0].metric.title, *(tile.figure or "-" for tile in row))
        Console(file=cast("IO[str]", self.stdout), width=_width()).print(table)


def _width() -> int:
    """The terminal's, or as much as the table needs where it is written to a file."""
    return shutil.get_terminal_size(fallback=(120, 24)).columns


def _caption(house: Any) -> str:
    coverage = f"coverage {house.coverage_percent}, " if house.coverage else ""
    return f"{coverage}rules version {house.rules_version}; the dashboard says why a value is missing"

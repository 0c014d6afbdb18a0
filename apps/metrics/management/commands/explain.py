"""`explain METRIC SCOPE DAY [--window D30] [--format json]`: the sample behind a value, entity by entity."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from apps.metrics.dora import band
from apps.metrics.evidence import Evidence, evidence
from apps.metrics.models import Scope
from apps.metrics.registry import METRICS
from apps.metrics.words import Window


def local_day(text: str) -> dt.date:
    """The day of a text like 2025-09-04. Raises ArgumentTypeError, which says so, for any other."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no day; write it like 2025-09-04") from None


class Command(BaseCommand):
    help = "Show what a value was made of."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("metric", choices=[metric.key for metric in METRICS], metavar="METRIC")
        parser.add_argument("scope", help="org, business_line:NAME, team:NAME or repo:FULL/PATH")
        parser.add_argument("day", type=local_day, help="a local day, 2025-09-04")
        parser.add_argument("--window", choices=[window.value for window in Window])
        parser.add_argument("--format", choices=["table", "json"], default="table")

    def handle(self, *args: Any, metric: str, scope: str, day: dt.date, **options: Any) -> None:
        try:
            found = evidence(metric, scope, day, options["window"])
        except Scope.DoesNotExist:
            known = ", ".join(Scope.objects.filter(is_current=True).values_list("key", flat=True))
            raise CommandError(
                f"{scope} is no scope; there are: {known or 'none yet, run a backfill'}"
            ) from None
        except ValueError as wrong:
            raise CommandError(str(wrong)) from None
        self.stdout.write(as_json(found)) if options["format"] == "json" else show(found)


def as_json(found: Evidence) -> str:
    """The evidence for programs; numerator and denominator are exact."""
    return json.dumps(
        {
            "metric": found.metric.key,
            "scope": found.scope,
            "day": found.day.isoformat(),
            "window": found.window.value,
            "value": None if found.value is None else float(found.value),
            "dora": band(found.metric.key, found.value),
            "numerator": found.exact.numerator,
            "denominator": found.exact.denominator,
            "low": None if found.low is None else float(found.low),
            "high": None if found.high is None else float(found.high),
            "n": found.n,
            "reason": found.reason,
            "entities": [
                {
                    "project": e.project,
                    "id": e.entity_id,
                    "label": e.label,
                    "url": e.url,
                    "contribution": e.value,
                    "signal": e.signal,
                    "rules_version": e.rules_version,
                }
                for e in found.entities
            ],
            "left_out": [
                {"what": one.what, "reason": one.reason, "id": one.entity_id, "url": one.url}
                for one in found.left_out
            ],
        },
        indent=1,
    )


def show(found: Evidence) -> None:
    """The evidence for people."""
    value = f"no value ({found.reason})" if found.value is None else f"{found.value} {found.metric.unit}"
    title = f"{found.metric.title}, {found.scope}, {found.day} ({found.window}): {value}, n = {found.n}"
    table = Table(title=title)
    for column in ("project", found.metric.entity, "when", "contribution", "decided by", "address"):
        table.add_column(column, overflow="fold")  # an address that ends in dots leads nowhere
    for entity in found.entities:
        table.add_row(
            entity.project, entity.label, entity.when, entity.contribution, entity.signal, entity.url
        )
    console = Console()
    console.print(found.metric.definition)
    console.print(table)
    for one in found.left_out:
        console.print(f"left out: {one.what} ({one.reason}) {one.url}".rstrip())
    if found.rules_versions:
        console.print(f"rules version: {', '.join(map(str, found.rules_versions))}")

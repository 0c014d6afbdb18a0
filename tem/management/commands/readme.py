"""`readme`: write the metric table into README.md from the registry, or check that it stands there."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.metrics.registry import METRICS

BEGIN, END = "<!-- metrics: written by `manage.py readme` -->", "<!-- end of metrics -->"


def metric_table() -> str:
    """One row a metric, in the order of the registry, as a Markdown table."""
    rows = ["| key | title | unit | window | competency | definition |", "|---|---|---|---|---|---|"]
    for metric in METRICS:
        window, competency = str(metric.window.value), metric.competency.value
        cells = [f"`{metric.key}`", metric.title, metric.unit, window, competency, metric.definition]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def with_table(text: str) -> str:
    """The README's text with the table of today between its two marks."""
    marked = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    return marked.sub(lambda _: f"{BEGIN}\n{metric_table()}\n{END}", text)


class Command(BaseCommand):
    help = "Write the metric table of README.md from the registry."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; fail if it is out of date")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        path = settings.BASE_DIR / "README.md"
        text = path.read_text(encoding="utf-8")
        if check and text != with_table(text):
            raise CommandError("README.md is out of date: run `manage.py readme`.")
        path.write_text(with_table(text), encoding="utf-8")

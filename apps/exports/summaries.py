"""What is published about a day: the values of every scope, as text in two formats. Computes no metric."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from apps.collector.exclusions import coverage
from apps.collector.models import Server
from apps.exports.errors import ExportRefused
from apps.metrics.models import Scope
from apps.metrics.quality import quality
from apps.metrics.registry import METRICS, Metric
from apps.orgmap.place import OrgMap
from apps.runs.models import Run
from tem import clock

SCHEMA_VERSION = 1
COLUMNS = (
    "date", "scope", "org", "business_line", "team", "repo",
    "metric", "window", "value", "n", "unit", "competency", "reason",
)  # fmt: skip
HEADER = (",".join(COLUMNS) + "\r\n").encode()
_DAYS_SQL = (Path(__file__).parent / "sql" / "days.sql").read_text(encoding="utf-8")
_KINDS = list(Scope.Kind.values)


@dataclass(frozen=True)
class Occasion:
    """What a file says besides the day's values. `moment` describes the writing, not the day."""

    org: str
    rules_version: int
    run_id: int | None
    moment: dict[str, Any]


@dataclass(frozen=True)
class DayText:
    """One day, rendered: the JSON of its summaries, and its lines of the CSV."""

    day: dt.date
    summaries: str
    lines: bytes

    @property
    def digest(self) -> bytes:
        """Stands for the CSV lines wherever two renderings of the day are compared."""
        return hashlib.sha256(self.lines).digest()


def occasion(*, now: dt.datetime, run: Run | None) -> Occasion:
    """The run, rules and coverage that files written at `now` have to name. `run` None: the last one."""
    org = OrgMap.load()
    run = run or Run.objects.exclude(state=Run.State.ACTIVE).order_by("-finished_at", "-id").first()
    seen = coverage(now=now)
    moment = {
        "run": run and {"id": run.pk, "kind": run.kind, "finished_at": _instant(run.finished_at or now)},
        "coverage": {
            "ratio": _ratio(seen.ratio),
            "active": seen.active,
            "included": seen.included,
            "excluded": [{"repo": path, "reason": str(reason)} for path, reason in sorted(seen.excluded)],
        },
        "data_quality": quality().as_json(),
    }
    return Occasion(org=org.name, rules_version=org.version, run_id=run.pk if run else None, moment=moment)


def history(*, now: dt.datetime) -> tuple[dt.date, dt.date]:
    """The first local day that has values, and today. Raises ExportRefused where there is none yet."""
    server = Server.objects.filter(history_since__isnull=False).order_by("-probed_at").first()
    if server is None or server.history_since is None:
        raise ExportRefused("Nothing has been collected yet. Say: manage.py run backfill --days 180 --wait")
    return clock.day_of(server.history_since), clock.day_of(now)


def _instant(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ratio(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)


def dictionary() -> dict[str, dict[str, str]]:
    """What every key means, for people who only have the file."""
    return {metric.key: _entry(metric) for metric in METRICS}


def _entry(metric: Metric) -> dict[str, str]:
    return {
        "title": metric.title,
        "unit": str(metric.unit),
        "window": str(metric.window),
        "competency": metric.competency.value,
        "better": metric.better.value,
        "definition": metric.definition,
    }


def scopes() -> list[Scope]:
    """The scopes that exist now: the org, then its business lines, teams and repos, each by name."""
    return sorted(
        Scope.objects.filter(is_current=True),
        key=lambda s: (_KINDS.index(s.kind), s.business_line, s.team, s.repo),
    )


def day_texts(*, org: str, first: dt.date, last: dt.date) -> Iterator[DayText]:
    """Every day from `first` to `last`, rendered once, streamed from one statement: one state of them."""
    about = scopes()
    parameters: dict[str, Any] = {
        "keys": [metric.key for metric in METRICS],
        "windows": [str(metric.window) for metric in METRICS],
        "tails": [csv_cells(metric.unit, metric.competency.value) for metric in METRICS],
        "scopes": [scope.pk for scope in about],
        "heads": [csv_cells(scope.kind, org, *_names(scope)) for scope in about],
        "first": first,
        "last": last,
    }
    with connection.chunked_cursor() as cursor:
        cursor.execute(_DAYS_SQL, parameters)
        for day, rows in groupby(cursor, key=lambda row: row[0]):
            yield _day_text(day, list(rows), org=org, about=about)


def _names(scope: Scope) -> tuple[str | None, str | None, str | None]:
    """Business line, team and repo of a scope; null where it is wider than that."""
    return scope.business_line or None, scope.team or None, scope.repo or None


def _day_text(day: dt.date, rows: list[tuple], *, org: str, about: list[Scope]) -> DayText:
    summaries = []
    for _, place, values, sizes, reasons, _ in rows:
        scope = about[place - 1]
        line, team, repo = _names(scope)
        who = {"date": str(day), "scope": scope.kind, "org": org}
        where = {"business_line": line, "team": team, "repo": repo}
        numbers = f'"metrics": {{{values}}},\n   "n": {{{sizes}}},\n   "unavailable": {{{reasons}}}}}'
        summaries.append(f"  {_json(who | where)[:-1]},\n   {numbers}")
    return DayText(day=day, summaries=",\n".join(summaries), lines="".join(row[5] for row in rows).encode())


def document(text: DayText, *, about: Occasion, provisional: bool) -> tuple[bytes, bytes]:
    """The day's JSON file, and the part of it that is about the day: that part decides on a restatement."""
    day: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "date": str(text.day),
        "timezone": settings.TEM_TIMEZONE,
        "org": about.org,
        "rules_version": about.rules_version,
    }
    if provisional:
        day["provisional"] = True
    opening = ",\n ".join(f"{_json(key)}: {_json(value)}" for key, value in day.items())
    moment = ",\n ".join(f"{_json(key)}: {_json(value)}" for key, value in about.moment.items())
    words = ",\n  ".join(f"{_json(key)}: {_json(entry)}" for key, entry in dictionary().items())
    closing = f'"dictionary": {{\n  {words}}},\n "summaries": [\n{text.summaries}\n ]}}\n'
    return f"{{{opening},\n {moment},\n {closing}".encode(), f"{{{opening},\n {closing}".encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def csv_cells(*cells: str | None) -> str:
    """Cells of one CSV line: quoted where RFC 4180 wants it, harmless to a spreadsheet, empty for null."""
    line = io.StringIO()
    csv.writer(line).writerow(_harmless(str(cell or "")) for cell in cells)
    return line.getvalue().removesuffix("\r\n")


def _harmless(cell: str) -> str:
    """A text that a spreadsheet would take for a formula begins with an apostrophe instead."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell

"""Merge requests from the bytes of a page to rows in the table.

Run: python bench/ingest.py [--rows 50000]. Rows are those of a demo GitLab, numbered anew; they go through
the collector's decoder, normaliser and guarded upsert, 10,000 to a commit, into PostgreSQL with its default
durability. The limit is COPY of the same rows, as text, into the same table with the same indexes. The bars:
30,000 rows a second from bytes, and for the database's part 60 % of COPY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stage.figures import ROOT, tell
from stage.gitlab import TOKEN, demo_gitlab, processor_s

BAR, DATABASE_BAR = 30_000, 0.6
COMMIT, PER_PAGE, PROJECT = 10_000, 100, 7
PATH = "/groups/toman/merge_requests"


class Watch:
    """Seconds by what was done in them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun


def pages_of(url: str, rows: int) -> list[bytes]:
    """So many merge requests as GitLab sends them, a hundred to a page."""
    from apps.collector.client import Client

    client, found = Client(url=url, token=TOKEN), []
    for number in range(1, 21):
        query = {"scope": "all", "state": "all", "per_page": PER_PAGE, "page": number}
        found += client.get(PATH, query=query, decode=json.loads).value
    numbered = [{**found[n % len(found)], "id": 10_000_000 + n, "iid": n} for n in range(rows)]
    return [json.dumps(numbered[n : n + PER_PAGE]).encode() for n in range(0, rows, PER_PAGE)]


def ingest(pages: list[bytes], watch: Watch) -> None:
    """What the collector does with these pages: decode and turn into text, some at a time, then upsert."""
    from django.db import transaction

    from apps.collector.endpoints import MERGE_REQUESTS
    from apps.collector.harvest import rows_of
    from apps.collector.storing import GROUP, reader_of
    from apps.collector.tables import given_for
    from apps.collector.upsert import upsert
    from tem import clock

    route, now, some = MERGE_REQUESTS.routes[0], clock.now(), GROUP // PER_PAGE + 1
    reader, rows = reader_of(route), [dict[Any, Any]() for _ in route.tables]
    given = given_for(PROJECT, now=now, server_fields={}, numbers={}, within=frozenset())
    for start in range(0, len(pages), some):
        with watch.on("decode"):
            documents = [(row, given) for page in pages[start : start + some] for row in reader.rows(page)]
        for table, known in zip(route.tables, rows, strict=True):
            with watch.on("convert" if table is route.tables[0] else "convert people"):
                known.update(rows_of(table, documents).rows)
    with watch.on("commit"), transaction.atomic():
        for table, known in zip(route.tables, rows, strict=True):
            with watch.on("upsert" if table is route.tables[0] else "upsert people"):
                upsert(table, known.values(), now=now)


def copied_rows(pages: list[bytes]) -> tuple[str, list[str]]:
    """The statement and the text of a COPY that brings the same rows into the table itself."""
    from apps.collector.endpoints import MERGE_REQUESTS
    from apps.collector.harvest import rows_of
    from apps.collector.storing import reader_of
    from apps.collector.tables import given_for
    from tem import clock

    route, now = MERGE_REQUESTS.routes[0], clock.now()
    table, reader = route.tables[0], reader_of(route)
    given = given_for(PROJECT, now=now, server_fields={}, numbers={}, within=frozenset())
    rows = rows_of(table, [(row, given) for page in pages for row in reader.rows(page)]).rows.values()
    columns = ", ".join([*(column.name for column in table.columns), "fetched_at"])
    return f"copy {table.name} ({columns}) from stdin", [
        "\t".join([*row, now.isoformat()]) + "\n" for row in rows
    ]


def copy(statement: str, lines: list[str]) -> None:
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as stream:
        stream.write("".join(lines))


class Spent:
    """Processor time of ours and of our backend in PostgreSQL."""

    def __init__(self) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            self._backend = cursor.fetchone()[0]

    def so_far(self) -> float:
        return time.process_time() + processor_s(self._backend)


def measure(pages: list[bytes]) -> dict[str, float]:
    """Seconds by part of one whole ingest and of a COPY, each into an empty table, and of processor time."""
    from django.db import connection

    watch, (statement, lines) = Watch(), copied_rows(pages)
    batch, spent = COMMIT // PER_PAGE, Spent()
    with connection.cursor() as cursor:
        cursor.execute("truncate raw_mr, dim_user")
    begun = spent.so_far()
    for start in range(0, len(pages), batch):
        ingest(pages[start : start + batch], watch)
    processor = spent.so_far() - begun
    with connection.cursor() as cursor:
        cursor.execute("truncate raw_mr, dim_user")
    for start in range(0, len(lines), COMMIT):
        with watch.on("copy"):
            copy(statement, lines[start : start + COMMIT])
    return {**watch.seconds, "processor": processor}


def report(parts: dict[str, float], rows: int) -> None:
    """Per row, then against the bars. A busy machine shows in the difference to processor time."""
    copy_s, processor = parts.pop("copy"), parts.pop("processor")
    total = sum(spent for name, spent in parts.items() if not name.startswith("upsert"))
    parts["commit"] -= parts["upsert"] + parts["upsert people"]
    database_s = parts["upsert"] + parts["commit"]
    for name, spent in parts.items():
        print(f"  {name}: {spent / rows * 1e6:.1f} µs a row")
    print(f"  processor time of it, ours and PostgreSQL's: {processor / rows * 1e6:.1f} µs a row")
    tell("merge requests from bytes to rows", rows / total, "rows/s", bar=BAR, limit=rows / copy_s,
         what="COPY of the same rows", at_least=True, rows=rows,
         rows_a_processor_second=round(rows / processor))  # fmt: skip
    tell("of it, the database's part", copy_s / database_s, "of COPY", bar=DATABASE_BAR, limit=1.0,
         what="the rate of COPY", at_least=True, rows_s=round(rows / database_s))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3, help="the best is told")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tem import embedded

    with tempfile.TemporaryDirectory(prefix="tem-bench-") as folder:
        os.environ.update(TEM_HOME=folder, DJANGO_SETTINGS_MODULE="tem.settings")
        with embedded.running(Path(folder)):
            import django

            django.setup()
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            with demo_gitlab(projects=8, days=60) as gitlab:
                pages = pages_of(gitlab.url, asked.rows)
            found = [measure(pages) for _ in range(asked.rounds)]
    best = min(found, key=lambda one: one["decode"] + one["convert"] + one["commit"])
    report({**best, "copy": min(one["copy"] for one in found)}, asked.rows)


if __name__ == "__main__":
    main()

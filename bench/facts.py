"""The facts of a whole GitLab, built from raw rows: at once, again, and for one large project.

Run: python bench/facts.py [--share 0.1]. Raw tables are filled by SQL (bench/stage/history.sql); --share 1 is
the reference size: 300 projects, 180 days, 3M jobs. Facts are built by the product's own function, in batches
of projects, by as many workers as the product has; every worker is a process of its own. The bars are those
of the reference size and shrink with the share; the touched project always has 300,000 jobs. The
limit is one scan of the raw rows. Growth: three such histories against one. Where others use the machine too,
processor time by worker is nearer to what an idle one would have taken.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from stage import history
from stage.figures import ROOT, tell
from stage.gitlab import processor_s

FULL_BAR, SQL_BAR, TOUCH_BAR, GROWTH_BAR, MEMORY_BAR = 15.0, 5.0, 1.0, 1.25, 2048.0
TOUCHED = 901  # a project of its own, beside the three histories


@dataclass(frozen=True)
class Spent:
    """What one batch took: seconds of waiting for SQL, of processors, and megabytes at the most."""

    sql_s: float
    processor_s: float
    worker_mb: float
    server_mb: float
    rows: int


def prepared() -> None:
    """A worker like those of the product: its own process and connection."""
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()


def built(projects: list[int]) -> Spent:
    """Build a batch, as a compute step does."""
    from django.db import connection

    from apps.metrics.facts import build_all

    waited = 0.0

    def watched(execute: Any, *call: Any) -> Any:
        nonlocal waited
        begun = time.perf_counter()
        try:
            return execute(*call)
        finally:
            waited += time.perf_counter() - begun

    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        backend = cursor.fetchone()[0]
    begun = time.process_time() + processor_s(backend)
    with connection.execute_wrapper(watched):
        differences = build_all(projects)
    spent = time.process_time() + processor_s(backend) - begun
    rows = sum(difference.rows for difference in differences.values())
    return Spent(waited, spent, _most_mb("self"), _most_mb(backend), rows)


def _most_mb(process: int | str) -> float:
    """The most memory that a process ever had; a server's part holds the buffers that all share."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def whole(projects: list[int], *, workers: int) -> tuple[float, list[Spent]]:
    """Seconds until the facts of all projects stand, and what each batch took."""
    from apps.metrics.batches import batches

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=prepared) as pool:
        list(pool.map(built, [[0]] * workers))  # they are up, and have built nothing
        begun = time.perf_counter()
        spent = list(pool.map(built, batches(projects)))
        return time.perf_counter() - begun, spent


def scan(projects: list[int]) -> float:
    """Seconds to read every raw row of projects once."""
    from django.db import connection

    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("set max_parallel_workers_per_gather = 0")
        for table in history.RAW:
            cursor.execute(f"select count(fetched_at) from {table} where project_id = any(%s)", [projects])  # noqa: S608  # our table names
    return time.perf_counter() - begun


def touch() -> None:
    """What an hour brings to a project: pipelines that ended, one in place by a retry, and a merge."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "update raw_pipeline set status = 'success', updated_at = updated_at + interval '1 hour',"
            " finished_at = finished_at + interval '1 hour' where pipeline_id in"
            " (select pipeline_id from raw_pipeline where project_id = %s and status = 'failed'"
            " order by pipeline_id desc limit 5)",
            [TOUCHED],
        )
        cursor.execute(
            "update raw_mr set state = 'merged', merged_at = updated_at where mr_id ="
            " (select max(mr_id) from raw_mr where project_id = %s and state <> 'merged')",
            [TOUCHED],
        )


def emptied() -> None:
    """No facts stand."""
    from django.apps import apps
    from django.db import connection

    kept = ("placed_project", "metric_scope", "metric_daily")
    tables = [m._meta.db_table for m in apps.get_app_config("metrics").get_models() if m._meta.managed]
    with connection.cursor() as cursor:
        cursor.execute(f"truncate {', '.join(table for table in tables if table not in kept)}")


def full_builds(share: float, *, workers: int, rounds: int) -> None:
    """One history from nothing and again, then three from nothing."""
    history.fill(share=share)
    projects = history.place()
    limit, found = scan(projects), []
    for _ in range(rounds):
        emptied()
        found.append(whole(projects, workers=workers))
    seconds, spent = min(found, key=lambda one: one[0])
    again_s, again = whole(projects, workers=workers)
    _tell_full("from nothing", seconds, spent, share=share, limit=limit, workers=workers)
    _tell_full("with nothing changed", again_s, again, share=share, limit=limit, workers=workers)
    memory = workers * (max(s.worker_mb for s in spent) + max(s.server_mb for s in spent))
    tell("memory of workers and their servers, at the most", memory, "MB", bar=MEMORY_BAR, limit=128,
         what="the server's shared buffers alone")  # fmt: skip
    for nth in (1, 2):
        history.fill(share=share, first=nth * history.PROJECTS)
    projects = history.place()
    emptied()
    three_s, three = whole(projects, workers=workers)
    processor = sum(s.processor_s for s in three) / sum(s.processor_s for s in spent) / 3
    tell("growth to three times the rows", three_s / seconds / 3, "of linear", bar=GROWTH_BAR, limit=1.0,
         what="three times the time of one", seconds=round(three_s, 2),
         by_processor=round(processor, 3))  # fmt: skip


def _tell_full(
    name: str, seconds: float, spent: list[Spent], *, share: float, limit: float, workers: int
) -> None:
    told: dict[str, Any] = {
        "limit": limit,
        "what": "one scan of the raw rows",
        "share": share,
        "workers": workers,
    }
    sql = sum(s.sql_s for s in spent) / workers
    tell(f"facts of all projects, {name}", seconds, "s", bar=FULL_BAR * share, **told, batches=len(spent),
         rows=sum(s.rows for s in spent), processor_s=round(sum(s.processor_s for s in spent), 2),
         load=round(os.getloadavg()[0], 1))  # fmt: skip
    tell(f"of it, SQL, {name}", sql, "s", bar=SQL_BAR * share, **told)
    by_processor = sum(s.processor_s for s in spent) / workers
    tell(f"the same in processor time, {name}", by_processor, "s", bar=FULL_BAR * share, limit=limit,
         what="one scan of the raw rows", busy_for=round(seconds, 2))  # fmt: skip


def touched_project(rounds: int) -> None:
    """The large project, after an hour."""
    history.fill(projects=1, share=0.1, first=TOUCHED - 1)
    history.place()
    whole([TOUCHED], workers=1)
    limit, found = scan([TOUCHED]), []
    for _ in range(rounds):
        touch()
        found.append(whole([TOUCHED], workers=1))
    seconds, (spent,) = min(found, key=lambda one: one[0])
    tell("a touched project of 300,000 jobs", seconds, "s", bar=TOUCH_BAR, limit=limit,
         what="one scan of its raw rows", rows=spent.rows, processor_s=round(spent.processor_s, 2),
         load=round(os.getloadavg()[0], 1))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.1, help="of the reference size")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=2, help="the best is told")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tem import embedded

    with tempfile.TemporaryDirectory(prefix="tem-bench-") as folder:
        os.environ.update(TEM_HOME=folder, DJANGO_SETTINGS_MODULE="tem.settings")
        with embedded.running(Path(folder)):
            prepared()
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            touched_project(asked.rounds)
            emptied()
            full_builds(asked.share, workers=asked.workers, rounds=asked.rounds)


if __name__ == "__main__":
    main()

"""What if the rules were others: of one repo, and of the whole org, over 180 days.

Run: python bench/what_if.py [--share 0.1]. Raw tables are filled by SQL (bench/stage/history.sql); --share 1
is the reference size: 300 projects, 180 days, 3M jobs. The repo is the largest, with a tenth of everything.
Asked is for all days of the metrics that the rules decide, before and after, and for the entities that change
class. The bars are those of the reference size and shrink with the share; the limit is one scan of the raw
rows of the projects whose rules change.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stage import history
from stage.figures import ROOT, tell
from stage.gitlab import processor_s

REPO_BAR, ORG_BAR = 5.0, 30.0
METRICS = ["deployment_frequency_wk", "rollback_incidence", "rollback_time_p50_h", "approval_bypass_ratio",
           "rework_rate", "lead_time_p50_h", "defect_escape_rate", "issue_sla_breach_rate"]  # fmt: skip
OTHERWISE = {
    "production_infer": "any",
    "rollback_within_hours": 72,
    "approvals_minimum": 2,
    "rework_force_pushes": 0,
    "bugs_escape_days": 7,
}


def scan(projects: list[int]) -> float:
    """Seconds to read every raw row of projects once."""
    from django.db import connection

    begun = time.perf_counter()
    with connection.cursor() as cursor:
        for table in history.RAW:
            cursor.execute(f"select count(fetched_at) from {table} where project_id = any(%s)", [projects])  # noqa: S608  # our table names
    return time.perf_counter() - begun


def asked_of(target: tuple[str, str], scopes: list[str]) -> tuple[float, Any]:
    """Seconds for one question, and its answer."""
    from django.db import connection

    from apps.metrics.whatif import what_if

    first = (history.START + dt.timedelta(hours=12)).date()
    last = first + dt.timedelta(days=history.DAYS - 1)
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        backend = cursor.fetchone()[0]
    begun, processor = time.perf_counter(), time.process_time() + processor_s(backend)
    found = what_if({target: OTHERWISE}, metrics=METRICS, scopes=scopes, first=first, last=last)
    spent = time.perf_counter() - begun
    processor = time.process_time() + processor_s(backend) - processor
    print(f"  processor time, ours and the backend's: {processor:.2f} s")
    return spent, found


def measure(share: float) -> None:
    from django.db import connection

    from apps.metrics.batches import batches
    from apps.metrics.facts import build_all
    from apps.metrics.models import PlacedProject

    print(f"filling a history: {history.fill(share=share):.0f} s")
    projects, begun = history.place(), time.perf_counter()
    for batch in batches(projects):
        build_all(batch)
    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze)")
    print(f"its facts: {time.perf_counter() - begun:.0f} s")
    largest = PlacedProject.objects.get(pk=1)
    for name, bar, target, scopes, among in (
        ("one repo", REPO_BAR, ("repo", largest.path), [f"repo:{largest.path}"], [1]),
        ("the org", ORG_BAR, ("default", ""), ["org", *(f"team:Team {n}" for n in range(12))], projects),
    ):
        spent, found = asked_of(target, scopes)
        tell(f"what-if of {name}", spent, "s", bar=bar * share, limit=scan(among),
             what="one scan of its raw rows",
             share=share, values=len(found.values), changed=len(found.changed),
             load=round(os.getloadavg()[0], 1))  # fmt: skip
        print(
            f"  {len(found.affected)} repos, {len(found.values)} values, {len(found.changed)} entities change"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.1, help="of the reference size")
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
            measure(asked.share)


if __name__ == "__main__":
    main()

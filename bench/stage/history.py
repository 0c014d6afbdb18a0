"""A history of the reference size, written by SQL straight into the raw tables: the same rows every time.

1x: 300 projects over 180 days, 60k merge requests, 600k commits, 300k pipelines, 3M jobs, 100k issues, 600k
notes, 5k releases. Projects are of very different size: the first has a tenth of everything.
"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

PROJECTS, DAYS = 300, 180
START = dt.datetime(2026, 4, 30, 22, tzinfo=dt.UTC)
ROWS = {"mrs": 60_000, "pipelines": 300_000, "issues": 100_000, "tags": 5_000}
RAW = (
    "dim_project", "dim_branch", "raw_mr", "raw_mr_commit", "raw_mr_version", "raw_mr_event", "raw_mr_issue",
    "raw_commit", "raw_pipeline", "raw_job", "raw_environment", "raw_deployment", "raw_tag", "raw_release",
    "raw_issue", "raw_issue_event", "raw_push_event",
)  # fmt: skip


def fill(*, projects: int = PROJECTS, share: float = 1.0, first: int = 0) -> float:
    """Write a history of `share` of the reference size, of projects first + 1 and up; answers the seconds.

    Several may stand beside each other, each with numbers of its own.
    """
    from django.db import connection

    begun = time.perf_counter()
    amounts = {name: rows * share for name, rows in ROWS.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            (Path(__file__).parent / "history.sql").read_text(encoding="utf-8"),
            {
                **amounts,
                "projects": projects,
                "first": first,
                "base": first * 100_000,
                "start": START,
                "days": DAYS,
            },
        )
        # As they stand some minutes after they came: or vacuum and disk have work beside what is measured.
        cursor.execute(f"vacuum (analyze) {', '.join((*RAW, 'dim_user'))}")
        cursor.execute("checkpoint")
    return time.perf_counter() - begun


def place() -> list[int]:
    """Give the projects places and rules in an org of four lines and twelve teams; answers their ids."""
    from apps.metrics.models import PlacedProject
    from apps.metrics.placement import place_all
    from apps.orgmap.import_org import import_org
    from apps.orgmap.org_file import OrgFile
    from apps.orgmap.place import OrgMap
    from tem import clock

    lines = [
        {
            "name": f"Line {line}", "groups": [f"toman/line-{line}"],
            "teams": [
                {"name": f"Team {team}", "groups": [f"toman/line-{line}/team-{team}"]}
                for team in range(12) if team % 4 == line
            ],
        }
        for line in range(4)
    ]  # fmt: skip
    rules = {"default": {"sla": [{"label": "SLA::24h", "hours": 24}], "approvals": {"minimum": 1}}}
    content = {
        "org": "Toman",
        "business_lines": lines,
        "root_groups": ["toman"],
        "bots": ["user-7"],
        "rules": rules,
    }
    if not PlacedProject.objects.exists():
        import_org(OrgFile.model_validate(content), now=clock.now(), by="bench", reason="")
    place_all(org=OrgMap.load())
    return list(PlacedProject.objects.values_list("pk", flat=True))

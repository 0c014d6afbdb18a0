"""A database of its own with the facts of 180 days of 300 projects, or of times as many: no GitLab."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIRST, LAST = dt.date(2026, 1, 5), dt.date(2026, 7, 3)
"""The 180 days of the facts."""

_FACTS = Path(__file__).with_name("facts_at_1x.sql")
TEAMS, LINES, PROJECTS = 20, 5, 300


@contextmanager
def database() -> Iterator[None]:
    """An embedded PostgreSQL with our schema; Django is set up for it."""
    from tem import embedded

    with tempfile.TemporaryDirectory(prefix="tem-bench-") as folder:
        os.environ.update(TEM_HOME=folder, DJANGO_SETTINGS_MODULE="tem.settings")
        with embedded.running(Path(folder)):
            import django

            django.setup()
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            yield


def organisation(*, times: int = 1) -> None:
    """Projects in teams in lines, placed."""
    from apps.collector.models import Project
    from apps.metrics.placement import place_all
    from apps.orgmap.import_org import import_org
    from apps.orgmap.org_file import OrgFile
    from apps.orgmap.place import OrgMap
    from tem import clock

    teams = [{"name": f"Team {n}", "groups": [f"root/line-{n % LINES}/team-{n}"]} for n in range(TEAMS)]
    lines = [
        {"name": f"Line {n}", "groups": [f"root/line-{n}"], "teams": teams[n::LINES]} for n in range(LINES)
    ]
    content: dict[str, Any] = {"org": "Toman", "business_lines": lines, "root_groups": ["root"], "bots": []}
    import_org(OrgFile.model_validate(content), now=clock.now(), by="bench", reason="")
    Project.objects.bulk_create(
        Project(
            project_id=n, path_with_namespace=f"root/line-{n % TEAMS % LINES}/team-{n % TEAMS}/repo-{n}",
            default_branch="main", namespace_kind="group", web_url=f"https://gitlab.example.org/{n}",
            fetched_at=clock.now(),
        )
        for n in range(1, PROJECTS * times + 1)
    )  # fmt: skip
    place_all(org=OrgMap.load())


def facts(*, times: int = 1) -> None:
    """Fill the fact tables."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in _FACTS.read_text(encoding="utf-8").split(";\n"):
            cursor.execute(statement, {"times": times})
        cursor.execute("vacuum (freeze, analyze)")

"""A small house with values in it, as the lower rooms leave it: org, scopes, a finished run, metric_daily."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.db import connection

from apps.collector.models import Exclusion, Project, Server
from apps.metrics.models import MetricDaily, Scope
from apps.metrics.registry import METRICS
from apps.orgmap.models import BusinessLine, Claim, Organisation, RuleChange, Team
from apps.runs.models import Run
from tem import clock

DAY = dt.date(2025, 9, 4)
NOW = clock.midnight(DAY) + dt.timedelta(hours=33)  # the morning after
FIRST = DAY - dt.timedelta(days=100)
REPO = "toman/exchange/trading/engine"


def build(*, history_from: dt.date = FIRST) -> None:
    """The org, its scopes, one project, one left out, and a run that is done."""
    Organisation.objects.create(name="Toman", root_groups=["toman/exchange"])
    line = BusinessLine.objects.create(name="Exchange")
    team = Team.objects.create(name="Trading", business_line=line)
    Claim.objects.create(kind="group", path="toman/exchange/trading", team=team)
    RuleChange.objects.create(level="default", rule="sla", value=[], changed_at=NOW, changed_by="seed")
    project(7, REPO)
    Exclusion.objects.create(project=project(8, "toman/exchange/old"), reason="no_access", since=NOW)
    Scope.objects.create(key="org", kind="org")
    Scope.objects.create(key="business_line:Exchange", kind="business_line", business_line="Exchange")
    Scope.objects.create(key="team:Trading", kind="team", business_line="Exchange", team="Trading")
    Scope.objects.create(
        key=f"repo:{REPO}", kind="repo", business_line="Exchange", team="Trading", repo=REPO, project_id=7
    )
    Scope.objects.create(
        key="team:Gone", kind="team", business_line="Exchange", team="Gone", is_current=False
    )
    Server.objects.create(
        url="https://gitlab.test", history_since=clock.midnight(history_from), probed_at=NOW
    )
    run(state=Run.State.DONE)


def project(project_id: int, path: str) -> Project:
    return Project.objects.create(
        project_id=project_id, path_with_namespace=path, active_flag=True, fetched_at=NOW,
        web_url=f"https://gitlab.test/{path}",
    )  # fmt: skip


def run(*, state: str, slot: str = "2025-09-05", **columns) -> Run:
    finished_at = None if state == Run.State.ACTIVE else NOW
    return Run.objects.create(
        kind="nightly", slot=slot, state=state, requested_at=NOW, finished_at=finished_at, **columns
    )


def value(
    metric: str, value: str | None, *, day: dt.date = DAY, scope: str = "org", n: int = 20, reason: str = "",
    between: tuple[str, str] | None = None,
) -> None:  # fmt: skip
    """Put one stored value there, in the default window of its metric; `between`: its interval."""
    low, high = (Decimal(end) for end in between) if between else (None, None)
    window = next(str(each.window) for each in METRICS if each.key == metric)
    MetricDaily.objects.update_or_create(
        day=day, metric=metric, window=window, scope=Scope.objects.get(key=scope),
        defaults={"value": None if value is None else Decimal(value), "n": n, "reason": reason,
                  "low": low, "high": high},
    )  # fmt: skip


def fill(*, first: dt.date = DAY - dt.timedelta(days=40), last: dt.date = DAY) -> None:
    """Every metric of every scope on forty days: values that differ by day, metric and scope."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into metric_daily (day, metric, "window", scope_id, value, n, reason)
            select day::date, m.key, m."window", s.id,
                   round((extract(doy from day) + place * 7 + s.id) / 7, 4), 20, ''
              from generate_series(%s::date, %s::date, interval '1 day') day
             cross join unnest(%s::text[], %s::text[]) with ordinality as m(key, "window", place)
             cross join metric_scope s
            """,
            [first, last, [m.key for m in METRICS], [str(m.window) for m in METRICS]],
        )

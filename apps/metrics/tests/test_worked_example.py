"""The worked example of the docs, row by row: its tables are what goes in and what has to come out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings

from apps.metrics.evidence import evidence
from apps.metrics.models import MetricDaily
from apps.metrics.rollup import roll_up
from apps.metrics.tests import builders
from apps.metrics.tests.test_cases import computed

PAGE = Path(settings.BASE_DIR) / "docs" / "worked-example.md"
DAY = dt.date(2025, 9, 4)
REPOS = {"engine": 1, "vault": 2}
PATHS = {1: "toman/exchange/trading/engine", 2: "toman/exchange/custody/vault"}
Row = dict[str, str]


def rows(heading: str) -> Iterator[Row]:
    """The rows of the table below a heading, by column; an empty cell is left out."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    names, _, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    for row in cells:
        yield {name: cell for name, cell in zip(names, row, strict=True) if cell}


def told() -> None:
    """The example's rows as raw rows."""
    builders.house(paths=PATHS)
    for mr in rows("Merge requests"):
        builders.mr(
            mr_id=int(mr["MR"].strip("!")), project=REPOS[mr["repo"]], approvals=mr["approvals"],
            created=mr["created"], merged=mr.get("merged"), closed=mr.get("closed"),
            commits=[at.strip() for at in mr.get("commits authored", "").split(",") if at],
        )  # fmt: skip
    for run in rows("Pipelines"):
        columns = {name: run[name] for name in ("status", "source", "ref", "sha", "created", "finished")}
        builders.pipeline(id=number(run["pipeline"]), project=REPOS[run["repo"]], **columns)
    for tag in rows("Tags"):
        builders.tag(
            name=tag["tag"], sha=tag["sha"], committed=tag["committed"], released=tag.get("released"),
            project=REPOS[tag["repo"]],
        )  # fmt: skip
    for record in rows("Deployments"):
        columns = {name: record[name] for name in ("environment", "status", "finished")}
        builders.deployment(pipeline=number(record["pipeline"]), project=REPOS[record["repo"]], **columns)


def number(text: str) -> int:
    return int(text.strip("#"))


@pytest.mark.django_db
def test_every_value_of_the_page_is_the_stored_one_and_its_evidence_adds_up() -> None:
    told()
    computed()
    roll_up(first=DAY, last=DAY, history_from=dt.date(2025, 1, 1))
    said = {(row["metric"], row["scope"]): (row["value"], int(row["n"])) for row in rows("The values")}
    stored = {
        (row.metric, row.scope.key): (row.value, row.n)
        for row in MetricDaily.objects.filter(day=DAY).select_related("scope")
    }
    expected = {key: (None if v == "null" else Decimal(v), n) for key, (v, n) in said.items()}
    assert {key: stored[key] for key in expected} == expected
    shown = {(metric, scope): evidence(metric, scope, DAY) for metric, scope in expected}
    assert {key: (found.value, found.n) for key, found in shown.items()} == expected
    assert all(len(found.entities) == found.n for found in shown.values())

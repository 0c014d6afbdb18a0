"""The facts of one project, in dependency order: built aside from raw rows and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper

from apps.metrics import derive
from apps.metrics.difference import Difference, Stage
from apps.metrics.models import (
    DimRelease,
    FactCommit,
    FactDeployment,
    FactForcePush,
    FactGitHygiene,
    FactJobGroup,
    FactMergeRequest,
    FactMergeRequestSpan,
    FactPipeline,
    FactRelease,
    Finding,
    LinkPosition,
    NameVerdict,
    PlacedProject,
)  # fmt: skip
from apps.orgmap.place import OrgMap
from tem import clock

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Building:
    """One rebuild of one project: where the parts of it find each other."""

    cursor: CursorWrapper
    placed: PlacedProject
    bots: list[str]
    difference: Difference

    @property
    def parameters(self) -> dict[str, Any]:
        return {"project": self.placed.pk, "zone": clock.zone().key, "bots": self.bots}

    def link(self, name: str, *, file: str = "") -> None:
        """A temporary table made by a SELECT, for the facts after it."""
        self.cursor.execute(f'drop table if exists "{name}"')
        sql = (SQL / f"{file or name}.sql").read_text(encoding="utf-8")
        self.cursor.execute(f'create temporary table "{name}" on commit drop as {sql}', self.parameters)
        self.cursor.execute(f'analyze "{name}"')  # nobody else does, and the facts after it are joins with it

    def stage(self, model: type[models.Model]) -> Stage:
        return Stage(self.cursor, model)

    def settle(self, stage: Stage) -> None:
        stage.settle(project=self.placed.pk, into=self.difference)


Part = Callable[[Building], None]


def fact(model: type[models.Model]) -> Part:
    """A table that one SELECT fills: the file of its name."""

    def build_it(building: Building) -> None:
        stage = building.stage(model)
        stage.select((SQL / f"{stage.table}.sql").read_text(encoding="utf-8"), building.parameters)
        building.settle(stage)

    return build_it


def link(name: str) -> Part:
    """A link table that only this rebuild needs."""
    return lambda building: building.link(name)


def name_verdicts(building: Building) -> None:
    stage = building.stage(NameVerdict)
    stage.fill(
        ["project_id", "rule", "name", "matches"],
        list(derive.name_verdicts(building.cursor, building.placed)),
    )
    building.settle(stage)


def positions(building: Building) -> None:
    stage = building.stage(LinkPosition)
    rows = list(derive.link_positions(building.cursor, building.placed))
    stage.fill(["project_id", "commit_id", "position", "is_mainline"], rows)
    building.settle(stage)


def deployments(building: Building) -> None:
    stage = building.stage(FactDeployment)
    building.cursor.execute("alter table new_fact_deployment alter is_rollback set default false")
    stage.select((SQL / "fact_deployment.sql").read_text(encoding="utf-8"), building.parameters)
    derive.mark_rollbacks(building.cursor, building.placed)
    building.settle(stage)


def dag_paths(building: Building) -> None:
    building.link("link_critical_path", file="link_stage_path")
    rows = list(derive.dag_paths(building.cursor, building.placed.pk))  # read before the COPY holds the line
    with building.cursor.copy("copy link_critical_path from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def force_pushes(building: Building) -> None:
    forced, unknown = derive.force_pushes(building.cursor, building.placed.pk)
    stage = building.stage(FactForcePush)
    stage.fill(["project_id", "push_key", "branch", "at"], forced)
    building.settle(stage)
    building.cursor.execute("drop table if exists unknown_push")
    building.cursor.execute("create temporary table unknown_push (push_key text, branch text) on commit drop")
    building.cursor.executemany("insert into unknown_push values (%s, %s)", unknown)


def settled_columns(building: Building) -> None:
    building.cursor.execute((SQL / "settle.sql").read_text(encoding="utf-8"), building.parameters)


FACTS: tuple[Part, ...] = (
    name_verdicts,
    positions,
    fact(DimRelease),
    fact(FactRelease),
    link("link_production"),
    link("link_signal"),
    deployments,
    link("bot"),
    link("link_approval"),
    fact(FactMergeRequest),
    fact(FactMergeRequestSpan),
    fact(FactJobGroup),
    dag_paths,
    fact(FactPipeline),
    fact(FactCommit),
    force_pushes,
    fact(FactGitHygiene),
    fact(Finding),
    settled_columns,
)


def build(project_id: int) -> Difference:
    """Make a project's facts what its raw rows and rules say, in one transaction.

    Answers the days that the difference touches; nothing is written where nothing changed. A project that is
    not placed has no facts. Readers see the old facts or the new ones.
    """
    difference = Difference()
    placed = PlacedProject.objects.filter(pk=project_id).first()
    if placed is None:
        return difference
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set local work_mem = '64MB'")
        # Right after a collection the tables have no statistics yet: planned for a few rows, loops within
        # loops over a project's rows take seconds where hashing them takes milliseconds.
        cursor.execute("set local enable_nestloop = off")
        building = Building(cursor, placed, sorted(OrgMap.load().bots), difference)
        for part in FACTS:
            part(building)
    return difference

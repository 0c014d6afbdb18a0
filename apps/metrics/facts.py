"""The facts of projects, in dependency order: built aside from raw rows and rules."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper

from apps.metrics import changed_jobs, derive
from apps.metrics.difference import Difference, Stage
from apps.metrics.models import (
    DimRelease,
    FactBranch,
    FactCommit,
    FactDelivery,
    FactDeployment,
    FactFailure,
    FactForcePush,
    FactGitHygiene,
    FactIssue,
    FactIssueEvent,
    FactIssueSpan,
    FactJobDay,
    FactJobGroup,
    FactMergeRequest,
    FactMergeRequestDeployment,
    FactMergeRequestSpan,
    FactPipeline,
    FactPipelineJobs,
    FactRelease,
    Finding,
    NameVerdict,
    PlacedProject,
)  # fmt: skip
from apps.orgmap.place import OrgMap
from tem import clock, telemetry

SQL = Path(__file__).parent / "sql"


@dataclass
class Building:
    """One rebuild of some projects: where its parts find each other.

    `keep`: what becomes of a table. `due`: the pipelines whose jobs are looked at again; None: all of them.
    """

    cursor: CursorWrapper
    placed: Sequence[PlacedProject]
    bots: list[str]
    keep: Callable[..., None]
    due: list[int] | None = None

    @property
    def projects(self) -> list[int]:
        return [one.pk for one in self.placed]

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "projects": self.projects,
            "zone": clock.zone().key,
            "bots": self.bots,
            "due": self.due,
            "words": SAID_OF_JOBS,
        }

    def link(self, name: str, *, file: str = "") -> None:
        """A temporary table made by a SELECT, for the facts after it."""
        self.cursor.execute(f'drop table if exists pg_temp."{name}"')
        sql = f'create temporary table "{name}" on commit drop as {text(f"{file or name}.sql")}'
        self.cursor.execute(sql, self.parameters)
        self.analyze(name)

    def table(self, name: str, columns: str, rows: Iterable[Sequence[Any]] = ()) -> None:
        """A temporary table of rows made in Python, which are all read before the COPY holds the line."""
        told = list(rows)
        self.cursor.execute(f'drop table if exists pg_temp."{name}"')
        self.cursor.execute(f'create temporary table "{name}" ({columns}) on commit drop')
        if told:
            self.add(name, told)
            self.analyze(name)

    def add(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """More rows for a temporary table. Making them may ask the database nothing."""
        with self.cursor.copy(f'copy "{name}" from stdin') as copy:
            for row in rows:
                copy.write_row(row)

    def add_text(self, name: str, lines: Iterable[str]) -> None:
        """The same for many rows, as COPY's text format has them: texts made `plain`, with tabs between."""
        with self.cursor.copy(f'copy "{name}" from stdin') as copy:
            copy.write("".join(f"{line}\n" for line in lines))

    def analyze(self, name: str) -> None:
        """Nobody else does it for temporary tables, and the facts after them are joins with them."""
        self.cursor.execute(f'analyze "{name}"')

    def stage(self, model: type[models.Model]) -> Stage:
        return Stage(self.cursor, model)


def plain(text: str) -> str:
    """A text as a field of COPY's text format; a SHA is one as it is."""
    return text if text.isalnum() else text.translate(_ESCAPED)


_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
Part = Callable[[Building], None]


def fact(model: type[models.Model]) -> Part:
    """A table that one SELECT fills: the file of its name."""

    def build_it(building: Building) -> None:
        stage = building.stage(model)
        stage.select(text(f"{stage.table}.sql"), building.parameters)
        building.keep(stage)

    return build_it


def text(file: str) -> str:
    return (SQL / file).read_text(encoding="utf-8")


def link(name: str) -> Part:
    """A link table that only this rebuild needs."""
    return lambda building: building.link(name)


def name_verdicts(building: Building) -> None:
    stage = building.stage(NameVerdict)
    rows = list(derive.name_verdicts(building.cursor, building.placed))
    stage.fill(["project_id", "rule", "name", "matches"], rows)
    building.keep(stage)


def graphs(building: Building) -> None:
    """What the graph of commits tells, project by project: one graph at a time stands in memory."""
    cursor, projects = building.cursor, building.projects
    heads, moves = derive.heads_of(cursor, projects), derive.moves_of(cursor, projects)
    stage = building.stage(FactForcePush)
    unknown: list[Sequence[Any]] = []
    reverts: list[Sequence[Any]] = []
    future: list[Sequence[Any]] = []
    building.table("link_position", "project_id bigint, commit_id text, position int, is_mainline bool")
    for project in projects:
        commits = derive.commits_of(cursor, project)
        history = derive.history_of(cursor, project, commits.parents, head=heads.get(project))
        chain = history.chain
        positions = (
            f"{project}\t{plain(sha)}\t{at}\t{sha in chain}" for sha, at in history.positions.items()
        )
        building.add_text("link_position", positions)
        future += [(project, sha, at) for sha, at in commits.future.items()]
        reverts += [
            (project, history.positions[sha], *what)
            for sha, what in commits.reverts.items()
            if sha in history.positions
        ]
        judged = list(derive.forced(moves.get(project, ()), history))
        stage.fill(
            ["project_id", "push_key", "branch", "at"], [(project, *move) for move, is_so in judged if is_so]
        )
        unknown += [(project, *move[:2]) for move, is_so in judged if is_so is None]
    building.keep(stage)
    building.analyze("link_position")
    building.table("link_revert", "project_id bigint, position int, sha text, mr_iid bigint", reverts)
    building.table("future_commit", "project_id bigint, commit_id text, committed_at timestamptz", future)
    building.table("unknown_push", "project_id bigint, push_key text, branch text", unknown)


def deployments(building: Building) -> None:
    stage = building.stage(FactDeployment)
    stage.select(text("fact_deployment.sql"), building.parameters)
    building.table(
        "rollback",
        "project_id bigint, deployment_key text, signal text, undoes_key text, rollback_ms bigint",
        derive.marked_rollbacks(building.cursor, building.placed),
    )
    building.cursor.execute("""
        update new_fact_deployment d
           set is_rollback = true, rollback_signal = r.signal, undoes_key = r.undoes_key,
               rollback_ms = r.rollback_ms
          from rollback r
         where r.project_id = d.project_id and r.deployment_key = d.deployment_key
    """)
    building.keep(stage)


def inclusions(building: Building) -> None:
    stage = building.stage(FactMergeRequestDeployment)
    names = ["project_id", "mr_id", "deployment_key", "at", "inferred", "has_issue"]
    rows = list(derive.included(building.cursor, building.projects))  # all read before the COPY
    stage.fill(names, rows)
    building.keep(stage)


def pipeline_jobs(building: Building) -> None:
    """What the jobs of pipelines say together, for those that are due: finished ones are looked at once."""
    building.link("link_jobs")
    building.link("link_dag")
    stage = building.stage(FactPipelineJobs)
    stage.select(text("fact_pipeline_jobs.sql"), building.parameters)
    paths = derive.dag_paths(building.cursor, building.projects)
    building.table("dag", "project_id bigint, pipeline_id bigint, critical_path_ms bigint", paths)
    building.cursor.execute("""
        update new_fact_pipeline_jobs j
           set critical_path_ms = d.critical_path_ms
          from dag d
         where d.project_id = j.project_id and d.pipeline_id = j.pipeline_id
    """)
    building.keep(stage, only=building.due)


SAID_OF_JOBS = zlib.crc32(text("link_jobs.sql").encode() + text("fact_pipeline_jobs.sql").encode()) >> 1
"""Names the words in which jobs are spoken of: what was said in others is said again."""

BY_RULES: tuple[Part, ...] = (
    name_verdicts,
    link("bot"),
    graphs,
    fact(FactCommit),
    fact(DimRelease),
    fact(FactRelease),
    link("link_production"),
    link("link_signal"),
    deployments,
    link("link_approval"),
    fact(FactMergeRequest),
    fact(FactMergeRequestSpan),
    inclusions,
    fact(FactIssue),
    fact(FactFailure),
)
"""Facts that rules may decide, and what they are made of."""

FACTS: tuple[Part, ...] = (
    pipeline_jobs,
    *BY_RULES,
    link("link_shared"),
    link("link_attempt"),
    fact(FactJobGroup),
    fact(FactPipeline),
    fact(FactJobDay),
    fact(FactGitHygiene),
    fact(FactBranch),
    fact(FactIssueSpan),
    fact(FactIssueEvent),
    fact(Finding),
)


def build(project_id: int, *, anew: bool = False) -> Difference:
    """Make a project's facts what its raw rows and rules say: a batch of one."""
    return build_all([project_id], anew=anew)[project_id]


def build_all(projects: Iterable[int], *, anew: bool = False) -> dict[int, Difference]:
    """Make the facts of projects what their raw rows and rules say, in one transaction.

    Answers for each the days that its difference touches; nothing is written where nothing changed. A project
    that is not placed has no facts. Readers see the old facts or the new ones. `anew`: look at every job
    again, not only at those of pipelines that changed.
    """
    differences = {project: Difference() for project in projects}
    told = telemetry.span("build facts", projects=len(differences))
    with told as one, transaction.atomic(), connection.cursor() as cursor:

        def settle(stage: Stage, *, only: Sequence[int] | None = None) -> None:
            stage.settle(projects=list(differences), into=differences, only=only)

        due = changed_jobs.due(cursor, list(differences), words=SAID_OF_JOBS)
        if building := _make(cursor, differences, keep=settle, due=None if anew else due):
            cursor.execute(text("settle.sql"), building.parameters)
        changed_jobs.forget(cursor)
        telemetry.note(one, rows=sum(difference.rows for difference in differences.values()))
    return differences


def deliver() -> Difference:
    """Make the deliveries of issues what the facts of all projects say; answers the days that this touches.

    An issue of one project may be delivered by another, so all of them are looked at together.
    """
    whole = Difference()
    with transaction.atomic(), connection.cursor() as cursor:
        placed = PlacedProject.objects.values_list("pk", flat=True)
        stood = FactDelivery.objects.values_list("project_id", flat=True).distinct()
        stage = Stage(cursor, FactDelivery)
        stage.select(text("fact_delivery.sql"), {"projects": list(placed)})
        projects = {*placed, *stood}
        stage.settle(projects=sorted(projects), into=dict.fromkeys(projects, whole))
        cursor.execute(text("finding_of_delivery.sql"))
    return whole


def build_aside(projects: Iterable[int], *, parts: Sequence[Part] = FACTS) -> None:
    """Build facts of projects into temporary tables that stand before the real ones; write nothing.

    They hold these projects only, have the real names, and live until the transaction ends: what is read
    unqualified in it reads them. Placement is read likewise. Raises if no transaction is under way.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Facts aside live in a transaction.")
    with connection.cursor() as cursor:
        _make(cursor, projects, keep=Stage.shadow, parts=parts)


def _make(
    cursor: CursorWrapper,
    projects: Iterable[int],
    *,
    keep: Callable[..., None],
    parts: Sequence[Part] = FACTS,
    due: list[int] | None = None,
) -> Building | None:
    placed = list(PlacedProject.objects.filter(pk__in=projects).order_by("pk"))
    if not placed:
        return None
    cursor.execute("set local work_mem = '64MB'")
    # Right after a collection the tables have no statistics yet, and of projects and SHAs together there are
    # never any: planned for a few rows, loops within loops over a project's rows take seconds, and so does
    # sorting texts, where hashing them takes milliseconds.
    cursor.execute("set local enable_nestloop = off; set local enable_mergejoin = off; set local jit = off")
    cursor.execute("set local default_statistics_target = 10")  # how many, and how alike, is all that matters
    building = Building(cursor, placed, sorted(OrgMap.load().bots), keep, due)
    for part in parts:
        part(building)
    return building

"""Pipelines in depth, with their jobs: by GraphQL in pages, by REST one by one; and signatures of commits,
which pipelines bring along for most of the default branch.

Both routes fill the same rows; a column that only one of them knows stays null by the other.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from apps.collector.aliases import Aliases
from apps.collector.due import Due
from apps.collector.fields import Field, at, gid, given, lower, present, when
from apps.collector.graphql import Follow, Graphql
from apps.collector.local import Local
from apps.collector.models import RawCommit, RawJob, RawPipeline
from apps.collector.parents import EachDue, Many, One
from apps.collector.people import SIGN_COMMITS
from apps.collector.reading import Reading
from apps.collector.route import Route
from apps.collector.tables import Table

MAY_STILL_END = dt.timedelta(days=30)  # an older one is found by its updated_at, like everything


def _unsigned_yet(reading: Reading) -> Q:
    return Q(committed_at__gte=reading.history)


_DUE_SIGNATURES = Due(RawCommit, key="commit_id", mark="is_signed", moved="", gives=(), only=_unsigned_yet)


def _signature(**fields: Field) -> Table:
    return Table(
        into=RawCommit,
        key=("project_id", "commit_id"),
        updates=True,
        keeps=("is_signed",),
        fields={"project_id": given("project_id"), **fields},
    )


SIGNATURES = (
    Route(name="merge requests", source=Local((SIGN_COMMITS,)), tables=()),
    Route(
        name="graphql",
        source=Aliases(
            file="signatures.graphql",
            nodes="project.repository",
            inner="lastCommit",
            due=_DUE_SIGNATURES,
            value="commit_id",
            match="sha",
            size=14,  # each weighs 16 to 17 of the 250
            needs=("Commit.signature", "Repository.tree", "Tree.lastCommit"),
        ),
        tables=(
            _signature(
                commit_id=given("commit_id"), is_signed=present("signature", known="Commit.signature")
            ),
        ),
    ),
    Route(
        name="rest",
        source=EachDue(
            due=_DUE_SIGNATURES,
            parts={"signature": One("/projects/{project_id}/repository/commits/{commit_id}/signature")},
        ),
        tables=(
            _signature(
                commit_id=given("commit_id"),
                is_signed=Field(
                    lambda item, document, given: item.signature is not None, ("signature.signature_type",)
                ),
            ),
        ),
    ),
)


def _pipeline(**fields: Field) -> Table:
    return Table(
        into=RawPipeline,
        key=("pipeline_id",),
        updates=True,
        fields={"pipeline_id": given("pipeline_id"), **fields},
    )


_FINISHED = ("success", "failed", "canceled", "skipped")

UNFINISHED_PIPELINES = Route(
    name="graphql",
    source=Aliases(
        file="unfinished_pipelines.graphql",
        nodes="project",
        inner="",
        due=Due(
            RawPipeline,
            key="pipeline_id",
            mark="created_at",
            moved="",
            again=~Q(status__in=_FINISHED),
            only=lambda reading: Q(created_at__gte=reading.client.server_time - MAY_STILL_END),
        ),
        value="iid",
        match="id",
        size=25,
        needs=("Project.pipeline",),
    ),
    tables=(
        Table(
            into=RawPipeline,
            key=("pipeline_id",),
            updates=True,
            newest="updated_at",
            fields={
                "pipeline_id": given("pipeline_id"),
                "status": lower("status"),
                "updated_at": when("updatedAt"),
                "started_at": when("startedAt"),
                "finished_at": when("finishedAt"),
                "duration_sec": at("duration"),
            },
        ),
    ),
)


def _jobs(each: str, *, skips: Field | None = None, **fields: Field) -> Table:
    return Table(
        into=RawJob,
        key=("job_id",),
        each=each,
        skips=skips,
        keeps=("scheduling_type", "needs"),
        fields={
            "project_id": given("project_id"),
            "pipeline_id": given("pipeline_id"),
            "sha": given("sha"),
            "name": at("name"),
            "status": lower("status"),
            **fields,
        },
    )


def _retried(item: Any, document: Any, known: Mapping[str, Any]) -> bool:
    """REST does not say it: of one pipeline's jobs of one name, all but the youngest were retried."""
    return item.id != _youngest(document.jobs)[item.name]


def _youngest(jobs: list[Any]) -> dict[str, Any]:
    youngest: dict[str, Any] = defaultdict(int)
    for job in jobs:
        if job is not None and isinstance(job.id, int):
            youngest[job.name] = max(youngest[job.name], job.id)
    return youngest


def _bridge(item: Any, document: Any, known: Mapping[str, Any]) -> bool:
    """A trigger of another pipeline: no job."""
    return item.kind == "BRIDGE"


_DUE_PIPELINES = Due(RawPipeline, key="pipeline_id", mark="detail_at", gives=("iid", "sha"))

PIPELINE_DETAILS = (
    Route(
        name="graphql",
        source=Graphql(
            file="pipelines.graphql",
            nodes="project.pipelines",
            due=_DUE_PIPELINES,
            match="id",
            size=40,
            variants=({}, {"source": "parent_pipeline"}),
            needs=("Pipeline.jobs", "CiJob.retried", "CiJob.needs", "CiJob.schedulingType"),
            follow=(Follow("jobs", "pipeline_jobs.graphql", "project.pipeline"),),
        ),
        tables=(
            _pipeline(
                detail_at=given("seen_at"),
                started_at=when("startedAt"),
                finished_at=when("finishedAt"),
                duration_sec=at("duration"),
            ),
            Table(
                into=RawCommit,
                key=("project_id", "commit_id"),
                each="commit",
                updates=True,
                keeps=("is_signed",),
                fields={
                    "project_id": given("project_id"),
                    "commit_id": at("sha"),
                    "is_signed": present("signature", known="Commit.signature"),
                },
            ),
            _jobs(
                "jobs.nodes[]",
                skips=Field(_bridge, ("kind",)),
                job_id=gid("id"),
                stage=at("stage.name"),
                created_at=when("createdAt"),
                started_at=when("startedAt"),
                finished_at=when("finishedAt"),
                duration_sec=at("duration"),
                retried_flag=at("retried"),
                allow_failure=at("allowFailure"),
                scheduling_type=at("schedulingType"),
                needs=at("needs.nodes"),
            ),
        ),
    ),
    Route(
        name="rest",
        source=EachDue(
            due=_DUE_PIPELINES,
            parts={
                "detail": One("/projects/{project_id}/pipelines/{pipeline_id}"),
                "jobs": Many(
                    "/projects/{project_id}/pipelines/{pipeline_id}/jobs", {"include_retried": "true"}
                ),
            },
        ),
        tables=(
            _pipeline(
                detail_at=given("seen_at"),
                started_at=when("detail.started_at"),
                finished_at=when("detail.finished_at"),
                duration_sec=at("detail.duration"),
            ),
            _jobs(
                "jobs[]",
                job_id=at("id"),
                stage=at("stage"),
                created_at=when("created_at"),
                started_at=when("started_at"),
                finished_at=when("finished_at"),
                duration_sec=at("duration"),
                retried_flag=Field(_retried, ("id", "name")),
                allow_failure=at("allow_failure"),
            ),
        ),
    ),
)

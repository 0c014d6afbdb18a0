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

from apps.collector.across import Across
from apps.collector.aliases import Aliases
from apps.collector.due import Due
from apps.collector.fields import Field, always, at, gid, given, lower, present, when
from apps.collector.graphql import Follow, Graphql, tail
from apps.collector.local import Local
from apps.collector.models import RawCommit, RawJob, RawPipeline
from apps.collector.parents import EachDue, Many, One
from apps.collector.people import SIGN_COMMITS
from apps.collector.reading import Reading
from apps.collector.rest import moment_of
from apps.collector.route import Route
from apps.collector.tables import Table

A_SECOND = dt.timedelta(seconds=1)
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
    Route(name="known", source=Local((SIGN_COMMITS,)), tables=()),
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
        keeps=tuple({"commit_is_signed"} & set(fields)),
        fields={"pipeline_id": given("pipeline_id"), **fields},
    )


_FINISHED = ("success", "failed", "canceled", "skipped")

UNFINISHED_PIPELINES = Route(
    name="graphql",
    source=Aliases(
        file="unfinished_pipelines.graphql",
        nodes="",
        inner="pipeline",
        due=Due(
            RawPipeline,
            key="pipeline_id",
            mark="created_at",
            moved="",
            gives=("iid", "project_id"),
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


def _not_just_now(reading: Reading) -> Q:
    """What was read in the second in which it changed is due again, but not before the next look."""
    return Q(detail_at__isnull=True) | Q(updated_at__lt=reading.client.server_time - A_SECOND)


_DUE_PIPELINES = Due(
    RawPipeline, key="pipeline_id", mark="detail_at", gives=("iid", "sha"), only=_not_just_now
)

WHOLE_PIPELINES = "Pipeline.source"
"""The field that a server has whose GraphQL tells everything of a pipeline; REST adds but milliseconds."""


def _seen_to(item: Any, document: Any, known: Mapping[str, Any]) -> dt.datetime | None:
    """Up to which change its details were read. In the second in which it changed it may change once more
    and look the same: so it stays due for another look.
    """
    seen, now = known["seen_at"], known["now"]
    return seen if seen is None or seen < now - A_SECOND else now - 2 * A_SECOND


def _is_signed(item: Any, document: Any, known: Mapping[str, Any]) -> bool | None:
    """Its commit's signature, which the commit itself would cost a request; null without the commit."""
    if "signature" not in known["server_fields"].get("Commit", ()) or item.commit is None:
        return None
    return item.commit.signature is not None


_ENDED = {
    "detail_at": Field(_seen_to),
    "started_at": when("startedAt"),
    "finished_at": when("finishedAt"),
    "duration_sec": at("duration"),
    "commit_is_signed": Field(_is_signed, ("commit.sha", "commit.signature")),
}
_JOBS_BY_GRAPHQL = _jobs(
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
)
_NEEDS = ("Pipeline.jobs", "CiJob.retried", "CiJob.needs", "CiJob.schedulingType")

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
            needs=_NEEDS,
            follow=(Follow("jobs", "pipeline_jobs.graphql", "project.pipeline"),),
        ),
        tables=(_pipeline(**_ENDED), _JOBS_BY_GRAPHQL),
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
                detail_at=Field(_seen_to),
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


def _of_document(pipeline: Any) -> dict[str, Any]:
    """What the rows of a pipeline that no list brought before must know of it."""
    changed = moment_of(pipeline, "updatedAt")
    return {"pipeline_id": tail(pipeline.id), "sha": pipeline.sha, "seen_at": changed}


def _has_more_jobs(pipeline: Any) -> bool:
    jobs = pipeline.jobs
    return jobs is None or jobs.pageInfo is None or bool(jobs.pageInfo.hasNextPage)


PIPELINES_OF_PROJECTS = Route(
    name="projects",
    source=Across(
        file="pipelines_of_projects.graphql",
        size=10,
        gives=_of_document,
        cut=_has_more_jobs,
        paths=("id", "sha", "updatedAt", "jobs.pageInfo.hasNextPage"),
        needs=(*_NEEDS, WHOLE_PIPELINES),
    ),
    tables=(
        Table(
            into=RawPipeline,
            key=("pipeline_id",),
            newest="updated_at",
            keeps=("commit_is_signed",),
            fields={
                "project_id": given("project_id"),
                "pipeline_id": gid("id"),
                "iid": at("iid"),
                "sha": at("sha"),
                "ref": at("ref"),
                "source": lower("source"),
                "status": lower("status"),
                "created_at": when("createdAt"),
                "updated_at": when("updatedAt"),
                "deleted_at": always(None),
                **_ENDED,
            },
        ),
        _JOBS_BY_GRAPHQL,
    ),
)

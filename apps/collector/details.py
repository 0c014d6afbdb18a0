"""The two entities that are read in depth: merge requests and pipelines, each by GraphQL in batches or by
REST.

Both routes fill the same rows; a column that only one of them knows stays null by the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.collector.due import Due
from apps.collector.fields import Field, always, at, commit_time, email_hash, gid, given, lower, present, when
from apps.collector.graphql import Follow, Graphql
from apps.collector.models import (
    RawJob,
    RawMergeRequest,
    RawMergeRequestCommit,
    RawMergeRequestEvent,
    RawPipeline,
)
from apps.collector.notes import keyed, note_kind, unless
from apps.collector.parents import EachDue, Many, One
from apps.collector.people import member, person
from apps.collector.tables import Table


@dataclass(frozen=True)
class Route:
    """One way to an entity: a source and the tables that its documents fill, the main one first."""

    name: str
    source: Any
    tables: tuple[Table, ...]


_OF_MR = {"project_id": given("project_id"), "mr_id": given("mr_id")}


def _merge_request(**fields: Field) -> Table:
    """Columns of a known merge request; the mark says up to which change its details were read."""
    return Table(
        into=RawMergeRequest,
        key=("mr_id",),
        updates=True,
        keeps=("changes_count", "lines_added", "lines_removed", "gitlab_approvals_required"),
        fields={"mr_id": given("mr_id"), "detail_at": given("seen_at"), **fields},
    )


def _commits(each: str, **fields: Field) -> Table:
    return Table(
        into=RawMergeRequestCommit,
        key=("mr_id", "commit_id"),
        each=each,
        replaces="mr_id",
        keeps=("author_user_id", "is_signed"),
        fields={**_OF_MR, **fields},
    )


def _notes(each: str, *, number: Field, author: Field, when_: Field, kind: Field) -> Table:
    return Table(
        into=RawMergeRequestEvent,
        key=("mr_id", "event_key"),
        each=each,
        replaces="mr_id",
        within=("event_key", "note:"),
        skips=unless(kind),
        fields={
            **_OF_MR,
            "event_key": keyed("note", number),
            "kind": kind,
            "at": when_,
            "actor_user_id": author,
        },
    )


def _approvals(each: str, *, user: Field, when_: Field) -> Table:
    return Table(
        into=RawMergeRequestEvent,
        key=("mr_id", "event_key"),
        each=each,
        replaces="mr_id",
        within=("event_key", "approval:"),
        fields={
            **_OF_MR,
            "event_key": keyed("approval", user),
            "kind": always("approved"),
            "at": when_,
            "actor_user_id": user,
        },
    )


_DUE_MERGE_REQUESTS = Due(RawMergeRequest, key="mr_id", mark="detail_at")

MERGE_REQUEST_DETAILS = (
    Route(
        name="graphql",
        source=Graphql(
            file="merge_requests.graphql",
            nodes="project.mergeRequests",
            due=_DUE_MERGE_REQUESTS,
            match="id",
            size=20,
            batch="iids",
            needs=(
                "MergeRequest.notes",
                "MergeRequest.commits",
                "Note.systemNoteMetadata",
                "Commit.authoredDate",
            ),
            follow=(
                Follow("merge_request_notes.graphql", "notes", "project.mergeRequest"),
                Follow("merge_request_commits.graphql", "commits", "project.mergeRequest"),
            ),
        ),
        tables=(
            _merge_request(
                changes_count=at("diffStatsSummary.fileCount"),
                lines_added=at("diffStatsSummary.additions"),
                lines_removed=at("diffStatsSummary.deletions"),
                gitlab_approvals_required=at("approvalsRequired"),
            ),
            _commits(
                "commits.nodes[]",
                commit_id=at("sha"),
                authored_at=commit_time("authoredDate"),
                author_user_id=gid("author.id"),
                author_email_hash=email_hash("authorEmail"),
                is_signed=present("signature", known="Commit.signature"),
            ),
            _notes(
                "notes.nodes[]",
                number=gid("id"),
                author=gid("author.id"),
                when_=when("createdAt"),
                kind=note_kind(system="system", body="body", action="systemNoteMetadata.action"),
            ),
            _approvals("approvedBy.nodes[]", user=gid("id"), when_=always(None)),
            member(
                "author", "mergeUser", "approvedBy.nodes[]", "commits.nodes[].author", "notes.nodes[].author"
            ),
        ),
    ),
    Route(
        name="rest",
        source=EachDue(
            due=_DUE_MERGE_REQUESTS,
            parts={
                "detail": One("/projects/{project_id}/merge_requests/{iid}"),
                "approvals": One("/projects/{project_id}/merge_requests/{iid}/approvals"),
                "commits": Many("/projects/{project_id}/merge_requests/{iid}/commits"),
                "notes": Many(
                    "/projects/{project_id}/merge_requests/{iid}/notes",
                    {"order_by": "created_at", "sort": "asc"},
                ),
            },
        ),
        tables=(
            _merge_request(
                changes_count=at("detail.changes_count"),
                gitlab_approvals_required=at("approvals.approvals_required"),
            ),
            _commits(
                "commits[]",
                commit_id=at("id"),
                authored_at=commit_time("authored_date"),
                author_email_hash=email_hash("author_email"),
            ),
            _notes(
                "notes[]",
                number=at("id"),
                author=at("author.id"),
                when_=when("created_at"),
                kind=note_kind(system="system", body="body"),
            ),
            _approvals("approvals.approved_by[]", user=at("user.id"), when_=when("approved_at")),
            person("approvals.approved_by[].user", "notes[].author"),
        ),
    ),
)


def _pipeline(**fields: Field) -> Table:
    return Table(
        into=RawPipeline,
        key=("pipeline_id",),
        updates=True,
        fields={"pipeline_id": given("pipeline_id"), "detail_at": given("seen_at"), **fields},
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
            follow=(Follow("pipeline_jobs.graphql", "jobs", "project.pipeline"),),
        ),
        tables=(
            _pipeline(
                started_at=when("startedAt"), finished_at=when("finishedAt"), duration_sec=at("duration")
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

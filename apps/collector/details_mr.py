"""Merge requests in depth: approvals, notes, commits, versions, and the issues they close.

GraphQL gives most of it in batches, REST all of it one by one; both fill the same rows, and a column that
only one of them knows stays null by the other.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q

from apps.collector.ancestry import Ancestry
from apps.collector.closing import closed_issues, told_offline
from apps.collector.due import Due
from apps.collector.fields import (
    Field,
    always,
    at,
    commit_time,
    email_hash,
    gid,
    given,
    position,
    present,
    when,
)
from apps.collector.graphql import Follow, Graphql
from apps.collector.local import Local
from apps.collector.models import (
    RawMergeRequest,
    RawMergeRequestCommit,
    RawMergeRequestEvent,
    RawMergeRequestIssue,
    RawMergeRequestVersion,
)  # fmt: skip
from apps.collector.notes import keyed, note_kind, unless
from apps.collector.parents import EachDue, Many, One
from apps.collector.people import member, person
from apps.collector.reading import Reading
from apps.collector.route import Route
from apps.collector.tables import Finder, Table
from apps.collector.versions import FROM_PUSHES

_OF_MR = {"project_id": given("project_id"), "mr_id": given("mr_id")}


def _merge_request(**fields: Field) -> Table:
    """Columns of a known merge request; the mark says up to which change its details were read."""
    return Table(
        into=RawMergeRequest,
        key=("mr_id",),
        updates=True,
        keeps=("changes_count", "lines_added", "lines_removed", "gitlab_approvals_required", "links_at"),
        fields={"mr_id": given("mr_id"), **fields},
    )


def _commits(each: str, **fields: Field) -> Table:
    return Table(
        into=RawMergeRequestCommit,
        key=("mr_id", "commit_id"),
        each=each,
        replaces="mr_id",
        keeps=("author_user_id", "is_signed"),
        fields={**_OF_MR, "position": position(each.removesuffix("[]")), **fields},
    )


def _links(finder: Finder | None = None, each: str = "", *, skips: Field | None = None) -> Table:
    """The issues that a merge request closes."""
    return Table(
        into=RawMergeRequestIssue,
        key=("mr_id", "issue_project", "issue_iid"),
        each=each,
        finds=finder,
        skips=skips,
        replaces="mr_id",
        fields={**_OF_MR, "issue_project": at("project_id"), "issue_iid": at("iid")},
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


_DUE_MERGE_REQUESTS = Due(
    RawMergeRequest,
    key="mr_id",
    mark="detail_at",
    gives=("iid", "project_id"),
    again=Q(state__in=("opened", "locked")),
)
_CLOSED_BY_GRAPHQL = closed_issues("description", "commits.nodes[].message")
_CLOSED_BY_REST = closed_issues("detail.description", "commits[].message")

MERGE_REQUEST_DETAILS = (
    Route(
        name="graphql",
        source=Graphql(
            file="merge_requests.graphql",
            nodes="project.mergeRequests",
            due=_DUE_MERGE_REQUESTS,
            match="id",
            size=40,
            batch="iids",
            needs=(
                "MergeRequest.notes",
                "MergeRequest.commits",
                "MergeRequest.description",
                "Note.systemNoteMetadata",
                "Commit.authoredDate",
                "Commit.message",
            ),
            follow=(
                Follow("notes", "merge_request_notes.graphql", "project.mergeRequest"),
                Follow("commits", "merge_request_commits.graphql", "project.mergeRequest"),
            ),
        ),
        tables=(
            _merge_request(
                detail_at=given("seen_at"),
                links_at=told_offline(_CLOSED_BY_GRAPHQL),
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
            _links(_CLOSED_BY_GRAPHQL),
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
                detail_at=given("seen_at"),
                links_at=told_offline(_CLOSED_BY_REST),
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
            _links(_CLOSED_BY_REST),
            person("approvals.approved_by[].user", "notes[].author"),
        ),
    ),
)


def _of_group(variant: dict[str, Any]) -> Route:
    """The same for a whole group at once: what changed, or what is open."""
    by_project = MERGE_REQUEST_DETAILS[0]
    source = Graphql(
        file="group_merge_requests.graphql",
        nodes="group.mergeRequests",
        due=_DUE_MERGE_REQUESTS,
        match="id",
        size=40,
        variants=(variant,),
        needs=(*by_project.source.needs, "Group.mergeRequests"),
        follow=(Follow("notes"), Follow("commits")),
    )
    return Route(name="group", source=source, tables=by_project.tables)


GROUP_DETAILS = _of_group({})
GROUP_DETAILS_OF_OPEN = _of_group({"state": "opened", "since": None})

_READ = Q(state="merged", detail_at__gte=F("updated_at"))


def _pushed_again(reading: Reading) -> Q:
    """Merged, and pushed to after it was opened: only there can versions change a value."""
    pushed = RawMergeRequestEvent.objects.filter(project_id=reading.place.project_id, kind="commit")
    return _READ & Q(mr_id__in=pushed.values("mr_id"))


MERGE_REQUEST_LINKS = Route(
    name="rest",
    source=EachDue(
        due=Due(RawMergeRequest, key="mr_id", mark="links_at", only=lambda reading: _READ),
        parts={"closes": Many("/projects/{project_id}/merge_requests/{iid}/closes_issues")},
    ),
    tables=(
        _merge_request(links_at=given("seen_at")),
        _links(
            each="closes[]",
            skips=Field(lambda item, document, given: item.project_id is None, ("project_id",)),
        ),
    ),
)

MERGE_REQUEST_VERSIONS = (
    Route(name="pushes", source=Local((FROM_PUSHES,)), tables=()),
    Route(
        name="rest",
        source=EachDue(
            due=Due(RawMergeRequest, key="mr_id", mark="versions_at", moved="", only=_pushed_again),
            parts={"versions": Many("/projects/{project_id}/merge_requests/{iid}/versions")},
        ),
        tables=(
            _merge_request(versions_at=given("now")),
            Table(
                into=RawMergeRequestVersion,
                key=("version_id",),
                each="versions[]",
                fields={
                    **_OF_MR,
                    "version_id": at("id"),
                    "head_sha": at("head_commit_sha"),
                    "base_sha": at("base_commit_sha"),
                    "created_at": when("created_at"),
                },
            ),
        ),
    ),
)

REWRITES = Route(
    name="rest",
    source=Ancestry(
        commits="/projects/{project_id}/repository/commits",
        merge_base="/projects/{project_id}/repository/merge_base",
    ),
    tables=(
        Table(
            into=RawMergeRequestVersion,
            key=("version_id",),
            updates=True,
            fields={
                "version_id": at("version_id"),
                "rewrites": at("rewrites"),
                "compared_at": given("now"),
            },
        ),
    ),
)

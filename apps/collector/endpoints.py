"""The endpoint table: what we read from GitLab, in order. Knows no metric.

A row says where an entity comes from, which columns it fills and how rows are recognised. A new entity is one
model and one row here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db import models

from apps.collector.details_ci import (
    PIPELINE_DETAILS,
    SIGNATURES,
    UNFINISHED_PIPELINES,
    WHOLE_PIPELINES,
)  # fmt: skip
from apps.collector.details_mr import (
    MERGE_REQUEST_DETAILS,
    MERGE_REQUEST_LINKS,
    MERGE_REQUEST_VERSIONS,
    REWRITES,
)  # fmt: skip
from apps.collector.endpoint import Endpoint, endpoint, swept
from apps.collector.fields import (
    access,
    always,
    at,
    commit_time,
    commit_time_or_epoch,
    email_hash,
    lower,
    masked,
    numbers,
    planned,
    reverts_commit,
    reverts_merge_request,
    when,
    whole_seconds,
)  # fmt: skip
from apps.collector.graph import Graph
from apps.collector.linked import ByNumber
from apps.collector.models import (
    Branch,
    Project,
    ProtectedBranch,
    RawCommit,
    RawDeployment,
    RawEnvironment,
    RawIssue,
    RawIssueEvent,
    RawMergeRequest,
    RawMergeRequestEvent,
    RawPipeline,
    RawPushEvent,
    RawRelease,
    RawTag,
)  # fmt: skip
from apps.collector.notes import keyed
from apps.collector.production import has_new_environment, production_environments
from apps.collector.pushed import branches_moved, no_push, other_than, tags_moved
from apps.collector.rest import Rest, days_before
from apps.collector.route import Route

PROJECTS = endpoint(
    "projects",
    source=Rest(
        "/groups/{group}/projects",
        query={"include_subgroups": "true", "with_shared": "false", "order_by": "id", "sort": "desc"},
    ),
    into=Project,
    key=("project_id",),
    births=("active_flag",),
    fields={
        "project_id": at("id"),
        "path_with_namespace": at("path_with_namespace"),
        "default_branch": at("default_branch"),
        "visibility": at("visibility"),
        "active_flag": always(False),
        "name": at("name"),
        "web_url": at("web_url"),
        "namespace_kind": at("namespace.kind"),
        "archived": at("archived"),
        "empty_repo": at("empty_repo"),
        "pending_deletion_at": at("marked_for_deletion_on", "marked_for_deletion_at"),
        "repository_access_level": at("repository_access_level"),
        "merge_requests_access_level": access("merge_requests_access_level", "merge_requests_enabled"),
        "issues_access_level": access("issues_access_level", "issues_enabled"),
        "builds_access_level": access("builds_access_level", "jobs_enabled"),
        "autoclose_issues": at("autoclose_referenced_issues"),
        "created_at": when("created_at"),
        "last_activity_at": when("last_activity_at"),
        "in_scope": always(True),
    },
)

BRANCHES = endpoint(
    "branches",
    source=Rest("/projects/{project_id}/repository/branches"),
    into=Branch,
    key=("project_id", "branch"),
    feature="repository",
    snapshot=True,
    witness="activity",
    needed=branches_moved,
    fields={
        "branch": at("name"),
        "protected_flag": at("protected"),
        "is_default": at("default"),
        "head_sha": at("commit.id"),
    },
)

PROTECTED_BRANCHES = endpoint(
    "protected_branches",
    source=Rest("/projects/{project_id}/protected_branches"),
    into=ProtectedBranch,
    key=("project_id", "name"),
    feature="repository",
    snapshot=True,
    needed=lambda project_id, since: False,  # rules move without a trace: the weekly sweep reads them again
    fields={"name": at("name"), "allow_force_push": at("allow_force_push")},
)

TAGS = endpoint(
    "tags",
    source=Rest("/projects/{project_id}/repository/tags"),
    into=RawTag,
    key=("project_id", "tag_name"),
    feature="repository",
    snapshot=True,
    witness="activity",
    needed=tags_moved,
    fields={
        "tag_name": at("name"),
        "commit_id": at("commit.id", "target"),
        "committed_at": commit_time("commit.committed_date", "commit.created_at", "commit.authored_date"),
    },
)

RELEASES = endpoint(
    "releases",
    source=Rest("/projects/{project_id}/releases"),
    into=RawRelease,
    key=("project_id", "tag_name"),
    feature="repository",
    snapshot=True,
    witness="releases",
    people=("author",),
    fields={
        "tag_name": at("tag_name"),
        "commit_id": at("commit.id"),
        "released_at": planned("released_at"),
        "created_at": when("created_at"),
    },
)

MERGE_REQUESTS = endpoint(
    "merge_requests",
    source=Rest(
        "/projects/{project_id}/merge_requests",
        query={"scope": "all", "state": "all", "order_by": "updated_at", "sort": "asc"},
        anchor="updated_after",
        open=({"state": "opened"},),
    ),
    into=RawMergeRequest,
    key=("mr_id",),
    newest="updated_at",
    feature="merge_requests",
    people=("author", "merge_user", "merged_by", "reviewers[]"),
    keeps=("squash_commit_sha",),
    single="/projects/{project_id}/merge_requests/{iid}",
    fields={
        "mr_id": at("id"),
        "iid": at("iid"),
        "author_user_id": at("author.id"),
        "state": at("state"),
        "draft": at("draft", "work_in_progress"),
        "title": masked("title"),
        "source_branch": at("source_branch"),
        "target_branch": at("target_branch"),
        "source_project_id": at("source_project_id"),
        "sha": at("sha"),
        "merge_commit_sha": at("merge_commit_sha"),
        "squash_commit_sha": at("squash_commit_sha"),
        "merge_user_id": at("merge_user.id", "merged_by.id"),
        "reviewer_ids": numbers("reviewers"),
        "labels": at("labels"),
        "created_at": when("created_at"),
        "updated_at": when("updated_at", "created_at"),
        "merged_at": when("merged_at"),
        "closed_at": when("closed_at"),
        "deleted_at": always(None),
    },
)


def _pipelines(name: str, *, witness: str, **query: str) -> Endpoint:
    return endpoint(
        name,
        source=Rest(
            "/projects/{project_id}/pipelines",
            query={"order_by": "updated_at", "sort": "asc", **query},
            anchor="updated_after",
        ),
        into=RawPipeline,
        key=("pipeline_id",),
        newest="updated_at",
        feature="builds",
        witness=witness,
        single="/projects/{project_id}/pipelines/{pipeline_id}",
        fields={
            "pipeline_id": at("id"),
            "iid": at("iid"),
            "sha": at("sha"),
            "ref": at("ref"),
            "source": at("source"),
            "status": lower("status"),
            "created_at": whole_seconds("created_at", where=WHOLE_PIPELINES),
            "updated_at": whole_seconds("updated_at", "created_at", where=WHOLE_PIPELINES),
            "deleted_at": always(None),
        },
    )


PIPELINES = _pipelines("pipelines", witness="pipelines")
CHILD_PIPELINES = _pipelines(  # GitLab hides them unless asked
    "child_pipelines", witness="children", source="parent_pipeline"
)

DEPLOYMENTS = endpoint(
    "deployments",
    source=Rest(
        "/projects/{project_id}/deployments",
        query={"order_by": "updated_at", "sort": "asc"},
        anchor="updated_after",
    ),
    into=RawDeployment,
    key=("deployment_id",),
    newest="updated_at",
    feature="environments",
    witness="deployments",
    people=("user",),
    fields={
        "deployment_id": at("id"),
        "iid": at("iid"),
        "status": at("status"),
        "environment": at("environment.name"),
        "sha": at("sha"),
        "ref": at("ref"),
        "pipeline_id": at("deployable.pipeline.id"),
        "job_id": at("deployable.id"),
        "created_at": when("created_at"),
        "updated_at": when("updated_at", "created_at"),
        "finished_at": when("deployable.finished_at"),
    },
)

ENVIRONMENTS = endpoint(
    "environments",
    source=Rest("/projects/{project_id}/environments"),
    into=RawEnvironment,
    key=("environment_id",),
    feature="environments",
    snapshot=True,
    witness="environments",
    needed=has_new_environment,
    fields={"environment_id": at("id"), "name": at("name"), "tier": at("tier"), "state": at("state")},
)

PRODUCTION_DEPLOYMENTS = Endpoint(  # whatever their age
    "production_deployments",
    routes=tuple(
        replace(one, source=replace(one.source, plain=False, once=production_environments))
        for one in DEPLOYMENTS.routes
    ),
    feature="environments",
)

ISSUES = endpoint(
    "issues",
    source=Rest(
        "/projects/{project_id}/issues",
        query={"scope": "all", "state": "all", "order_by": "updated_at", "sort": "asc"},
        anchor="updated_after",
        open=({"state": "opened"},),
    ),
    into=RawIssue,
    key=("issue_id",),
    newest="updated_at",
    feature="issues",
    people=("author",),
    single="/projects/{project_id}/issues/{iid}",
    fields={
        "issue_id": at("id"),
        "iid": at("iid"),
        "author_user_id": at("author.id"),
        "state": at("state"),
        "issue_type": lower("issue_type"),
        "labels": at("labels"),
        "moved_to_id": at("moved_to_id"),
        "created_at": when("created_at"),
        "updated_at": when("updated_at", "created_at"),
        "closed_at": when("closed_at"),
        "deleted_at": always(None),
    },
)


CLOSED_ISSUES = Route(
    name="rest",
    source=ByNumber("/projects/{issue_project}/issues"),
    tables=(
        replace(ISSUES.main, fields={**ISSUES.main.fields, "project_id": at("project_id")}),
        *ISSUES.routes[0].tables[1:],
    ),
)


def _happened(
    name: str,
    *,
    target: str,
    action: str,
    into: type[models.Model],
    feature: str,
    **columns: Any,
) -> Endpoint:
    """State changes in bulk, from the project's events: a few pages instead of a request for each item."""
    return endpoint(
        name,
        source=Rest(
            "/projects/{project_id}/events",
            query={"target_type": target, "action": action},
            newest="created_at",
            since="after",
            bound=days_before,
        ),
        into=into,
        key=(next(iter(columns)), "event_key"),
        feature=feature,
        witness="activity",
        follows=feature,
        people=("author",),
        fields={
            **columns,
            "event_key": keyed("state", at("id")),
            "at": when("created_at"),
            "actor_user_id": at("author_id", "author.id"),
        },
    )


ISSUE_EVENTS = tuple(
    _happened(
        f"issues_{state}", target="issue", action=state, into=RawIssueEvent, feature="issues",
        issue_id=at("target_id"), state=always(state),
    )
    for state in ("closed", "reopened")
)  # fmt: skip
MERGE_REQUEST_EVENTS = tuple(
    _happened(
        f"merge_requests_{kind}", target="merge_request", action=kind, into=RawMergeRequestEvent,
        feature="merge_requests", mr_id=at("target_id"), kind=always(kind),
    )
    for kind in ("closed", "reopened")
)  # fmt: skip

PUSH_EVENTS = endpoint(
    "push_events",
    source=Rest(
        "/projects/{project_id}/events",
        query={"action": "pushed"},
        newest="created_at",
        since="after",
        bound=days_before,
    ),
    into=RawPushEvent,
    key=("event_id",),
    feature="repository",
    witness="activity",
    people=("author",),
    fields={
        "event_id": at("id"),
        "ref": at("push_data.ref"),
        "ref_type": at("push_data.ref_type"),
        "action": at("push_data.action"),
        "commit_from": at("push_data.commit_from"),
        "commit_to": at("push_data.commit_to"),
        "commit_count": at("push_data.commit_count"),
        "author_user_id": at("author_id", "author.id"),
        "created_at": when("created_at"),
    },
)

_SORTED_OUT = (
    (PUSH_EVENTS, no_push()),
    *((one, other_than(("Issue", "WorkItem"), one.name)) for one in ISSUE_EVENTS),
    *((one, other_than(("MergeRequest",), one.name)) for one in MERGE_REQUEST_EVENTS),
)
EVENTS = Endpoint(  # for increments: every kind of event in one list
    "events",
    routes=(
        Route(
            name="events",
            source=replace(PUSH_EVENTS.routes[0].source, query={}),
            tables=(
                *(replace(one.main, skips=others) for one, others in _SORTED_OUT),
                *PUSH_EVENTS.routes[0].tables[1:],
            ),
        ),
    ),
    covers=tuple(one.name for one, _ in _SORTED_OUT),
)

COMMITS = endpoint(
    "commits",
    source=Graph("/projects/{project_id}/repository/commits", detail={"with_stats": "true"}),
    into=RawCommit,
    key=("project_id", "commit_id"),
    keeps=("additions", "deletions"),
    feature="repository",
    witness="activity",
    fields={
        "commit_id": at("id"),
        "author_name": masked("author_name"),
        "author_email_hash": email_hash("author_email"),
        "authored_at": commit_time("authored_date"),
        "committed_at": commit_time_or_epoch("committed_date", "created_at", "authored_date"),
        "parent_ids": at("parent_ids"),
        "additions": at("stats.additions"),
        "deletions": at("stats.deletions"),
        "reverts_sha": reverts_commit("message"),
        "reverts_mr_iid": reverts_merge_request("message"),
    },
)

ENDPOINTS: tuple[Endpoint, ...] = (  # parents first; what others look at before them
    EVENTS,
    PUSH_EVENTS,
    BRANCHES,
    PROTECTED_BRANCHES,
    TAGS,
    RELEASES,
    DEPLOYMENTS,
    ENVIRONMENTS,
    PRODUCTION_DEPLOYMENTS,
    MERGE_REQUESTS,
    PIPELINES,
    CHILD_PIPELINES,
    ISSUES,
    *ISSUE_EVENTS,
    *MERGE_REQUEST_EVENTS,
    COMMITS,
    Endpoint("merge_request_details", MERGE_REQUEST_DETAILS, feature="merge_requests"),
    Endpoint("merge_request_issues", (MERGE_REQUEST_LINKS,), feature="merge_requests"),
    Endpoint("merge_request_versions", MERGE_REQUEST_VERSIONS, feature="merge_requests"),
    Endpoint("rewrites", (REWRITES,), feature="merge_requests"),
    Endpoint("closed_issues", (CLOSED_ISSUES,), feature="merge_requests"),
    Endpoint("unfinished_pipelines", (UNFINISHED_PIPELINES,), feature="builds"),
    Endpoint("pipeline_details", PIPELINE_DETAILS, feature="builds"),
    Endpoint("signatures", SIGNATURES, feature="repository"),
)
GROUP_ENDPOINTS: tuple[Endpoint, ...] = (  # for increments: one list for all projects of a root group
    swept(MERGE_REQUESTS, "/groups/{group}/merge_requests"),
    swept(ISSUES, "/groups/{group}/issues"),
)

"""Rows as GitLab sends them, with sane values, for the fake server."""

from __future__ import annotations

import datetime as dt
from typing import Any

from apps.collector.models import Project
from apps.collector.tests.server import NOW, FakeGitlab

START = dt.datetime(2025, 8, 1, tzinfo=dt.UTC)


def at(minutes: int) -> str:
    """An instant as GitLab writes it, minutes after the start of history."""
    return (START + dt.timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def user(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "username": f"user{number}", "name": f"User {number}", "state": "active", **more}


def merge_request(number: int, *, updated: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": 1000 + number,
        "iid": number,
        "project_id": 7,
        "title": f"Change {number}",
        "state": "opened",
        "created_at": at(0),
        "updated_at": at(updated),
        "merged_at": None,
        "closed_at": None,
        "source_branch": f"b{number}",
        "target_branch": "main",
        "source_project_id": 7,
        "sha": "a" * 40,
        "merge_commit_sha": None,
        "squash_commit_sha": None,
        "draft": False,
        "labels": ["x"],
        "author": user(),
        "merge_user": None,
        "unknown_key": {"ignored": True},
        **more,
    }


def pipeline(number: int, *, updated: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": 5000 + number,
        "iid": number,
        "sha": "c" * 40,
        "ref": "main",
        "status": "success",
        "source": "push",
        "created_at": at(0),
        "updated_at": at(updated),
        **more,
    }


def issue(number: int, *, updated: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": 9000 + number,
        "iid": number,
        "state": "opened",
        "issue_type": "issue",
        "labels": ["bug"],
        "created_at": at(0),
        "updated_at": at(updated),
        "closed_at": None,
        "author": user(2),
        **more,
    }


def commit(sha: str, *parents: str, when: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": sha,
        "parent_ids": list(parents),
        "committed_date": at(when),
        "authored_date": at(when),
        "created_at": at(when),
        "author_name": "Ann",
        "author_email": "ann@example.org",
        "message": "Work",
        "stats": {"additions": 1, "deletions": 2, "total": 3},
        **more,
    }


def project(**more: Any) -> Project:
    """Project 7, in the database."""
    values: dict[str, Any] = {
        "project_id": 7,
        "path_with_namespace": "toman/core/api",
        "default_branch": "main",
        "fetched_at": NOW,
        "repository_access_level": "enabled",
        "merge_requests_access_level": "enabled",
        "issues_access_level": "enabled",
        "builds_access_level": "enabled",
        **more,
    }
    return Project.objects.create(**values)


def small_world(gitlab: FakeGitlab) -> FakeGitlab:
    """One project with one of everything, by REST alone."""
    base = "/projects/7"
    gitlab.singles |= {"/version": {"version": "17.1.0-ee", "enterprise": True}, base: {"id": 7}}
    gitlab.lists |= {
        f"{base}/repository/branches": [
            {"name": "main", "protected": True, "default": True, "commit": {"id": "c2"}}
        ],
        f"{base}/protected_branches": [{"name": "main", "allow_force_push": False}],
        f"{base}/repository/tags": [{"name": "v1.0.0", "commit": {"id": "c1", "committed_date": at(1)}}],
        f"{base}/releases": [
            {"tag_name": "v1.0.0", "released_at": at(2), "created_at": at(2), "commit": {"id": "c1"}}
        ],
        f"{base}/environments": [{"id": 1, "name": "production", "tier": "production", "state": "available"}],
        f"{base}/deployments": [
            {
                "id": 1,
                "iid": 1,
                "status": "success",
                "sha": "c1",
                "ref": "main",
                "created_at": at(3),
                "updated_at": at(4),
                "environment": {"id": 1, "name": "production"},
                "user": user(),
                "deployable": {"id": 61, "finished_at": at(4), "pipeline": {"id": 5001}},
            }
        ],
        f"{base}/merge_requests": [
            merge_request(1, updated=10, state="merged", merged_at=at(9)),
            merge_request(2, updated=11),
        ],
        f"{base}/pipelines": [pipeline(1, updated=5)],
        f"{base}/issues": [issue(1, updated=6)],
        f"{base}/events": [],
        f"{base}/repository/commits": [commit("c2", "c1", when=8), commit("c1", when=1)],
        f"{base}/pipelines/5001/jobs": [
            {
                "id": 61,
                "name": "test",
                "stage": "test",
                "status": "success",
                "created_at": at(1),
                "started_at": at(2),
                "finished_at": at(3),
                "duration": 60.5,
                "allow_failure": False,
            },
            {
                "id": 60,
                "name": "test",
                "stage": "test",
                "status": "failed",
                "created_at": at(1),
                "started_at": at(1),
                "finished_at": at(2),
                "duration": 50.0,
                "allow_failure": False,
            },
        ],
    }
    gitlab.singles[f"{base}/pipelines/5001"] = {
        "id": 5001,
        "started_at": at(1),
        "finished_at": at(3),
        "duration": 110,
        "source": "push",
    }
    for number in (1, 2):
        mr = f"{base}/merge_requests/{number}"
        gitlab.singles[mr] = {**merge_request(number), "changes_count": "1000+"}
        gitlab.singles[f"{mr}/approvals"] = {"approved_by": [{"user": user(3), "approved_at": at(7)}]}
        gitlab.lists[f"{mr}/commits"] = [commit("c1", when=1)]
        gitlab.lists[f"{mr}/notes"] = [
            {
                "id": 70 + number,
                "system": False,
                "body": "secret words",
                "created_at": at(6),
                "author": user(3),
            },
            {
                "id": 80 + number,
                "system": True,
                "body": "approved this merge request",
                "created_at": at(7),
                "author": user(3),
            },
            {
                "id": 90 + number,
                "system": True,
                "body": "changed the description",
                "created_at": at(7),
                "author": user(3),
            },
        ]
    return gitlab

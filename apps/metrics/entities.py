"""What an entity of a sample is called, when it happened and where GitLab shows it: one row a kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from django.db import connection


class Shown(NamedTuple):
    """How people see an entity; `url` is empty where the project's address is not known."""

    label: str
    url: str
    at: dt.datetime | None


@dataclass(frozen=True)
class Kind:
    """`sql`: (entity_id, label, path below the project or whole address, instant) of entities, by %(ids)s.

    They are those of one project; an issue may be of another than the one it counts in.
    """

    sql: str


_MR = "select mr_id, '!' || iid, '/-/merge_requests/' || iid, coalesce(merged_at, created_at) from raw_mr"
_PIPELINE = (
    "select pipeline_id, '#' || pipeline_id, '/-/pipelines/' || pipeline_id, created_at from raw_pipeline"
)
_JOB = "select job_id, name, '/-/jobs/' || job_id, finished_at from raw_job"
_ISSUE = """
    select i.issue_id,
           case when i.project_id = %(project)s then '' else p.path_with_namespace end || '#' || i.iid,
           p.web_url || '/-/issues/' || i.iid,
           {at}
      from raw_issue i
      join dim_project p using (project_id)
"""

KINDS = {
    "mr": Kind(f"{_MR} where project_id = %(project)s and mr_id = any(%(ids)s::bigint[])"),
    "pipeline": Kind(f"{_PIPELINE} where project_id = %(project)s and pipeline_id = any(%(ids)s::bigint[])"),
    "job_group": Kind(f"{_JOB} where project_id = %(project)s and job_id = any(%(ids)s::bigint[])"),
    "delivery": Kind(
        f"{_ISSUE.format(at='d.at')} join fact_delivery d using (issue_id)"
        " where i.issue_id = any(%(ids)s::bigint[])"
    ),
    "issue": Kind(f"{_ISSUE.format(at='i.created_at')} where i.issue_id = any(%(ids)s::bigint[])"),
    "tag": Kind(
        "select tag_name, tag_name, '/-/tags/' || tag_name, at from fact_release"
        " where project_id = %(project)s and tag_name = any(%(ids)s)"
    ),
    "commit": Kind(
        "select commit_id, left(commit_id, 10), '/-/commit/' || commit_id, committed_at from fact_commit"
        " where project_id = %(project)s and commit_id = any(%(ids)s)"
    ),
    "push": Kind(
        "select push_key, branch, '/-/commits/' || branch, at from fact_force_push"
        " where project_id = %(project)s and push_key = any(%(ids)s)"
    ),
    "deployment": Kind(
        "select deployment_key,"
        "       coalesce(environment || ', ', '') || coalesce('pipeline #' || pipeline_id, left(sha, 10))"
        "           || case when is_rollback then ' (rollback)' else '' end,"
        "       coalesce('/-/pipelines/' || pipeline_id, '/-/environments'), at"
        "  from fact_deployment where project_id = %(project)s and deployment_key = any(%(ids)s)"
    ),
}


def shown(kind: str, *, project: int, web_url: str, ids: Iterable[str]) -> dict[str, Shown]:
    """Entity id -> how people see it, for entities of one project."""
    with connection.cursor() as cursor:
        cursor.execute(KINDS[kind].sql, {"project": project, "ids": list(ids)})
        return {
            str(entity): Shown(label, _address(web_url, path), at)
            for entity, label, path, at in cursor.fetchall()
        }


def _address(web_url: str, path: str | None) -> str:
    if not path or "://" in path:
        return path or ""
    return web_url + quote(path) if web_url else ""

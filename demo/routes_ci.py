"""Pipelines, jobs, deployments and environments by REST."""

from __future__ import annotations

from typing import Any

from demo.asking import Asked, between, by_update, ordered, same
from demo.entities import Pipeline
from demo.job_times import seen
from demo.paging import Listing, Refusal, bad, not_found

PIPELINE_ORDERS = {"id": "id", "status": "status", "ref": "ref", "updated_at": "updated", "user_id": "id"}
DEPLOYMENT_ORDERS = {
    "id": "id", "iid": "iid", "created_at": "created", "updated_at": "updated", "finished_at": "finished",
    "ref": "ref",
}  # fmt: skip


def pipelines(asked: Asked) -> Listing:
    _needs_ci(asked)
    made, key = asked.project.pipelines, ("pipelines", str(asked.project.id))
    rows = by_update(asked, key, lambda: made)
    if source := asked.text("source"):
        rows = [row for row in rows if row.source == source]
    else:
        rows = [row for row in rows if row.source != "parent_pipeline"]
    rows = same(asked, rows, status="status", ref="ref", sha="sha", username="user.username")
    if scope := asked.choice("scope", ("running", "pending", "finished", "branches", "tags"), ""):
        rows = [row for row in rows if _in_scope(row, scope)]
    rows = between(asked, rows, "updated", lambda row: row.updated)
    rows = between(asked, rows, "created", lambda row: row.created)
    return Listing(
        ordered(asked, rows, PIPELINE_ORDERS, default="id", already="updated"), asked.show.pipeline
    )


def _in_scope(row: Pipeline, scope: str) -> bool:
    if scope in ("branches", "tags"):
        return row.tag == (scope == "tags") and not row.ref.startswith("refs/")
    return row.finished is not None if scope == "finished" else row.status == scope


def _needs_ci(asked: Asked) -> None:
    if not asked.project.builds_on:
        raise Refusal(403, {"message": "403 Forbidden"})


def _found(asked: Asked, kind: str) -> Any:
    _needs_ci(asked)
    found = asked.project.by_id.get(int(asked.parts["id"]))
    if type(found).__name__ != kind:
        raise not_found("") if kind == "Job" else not_found(kind)
    return found


def pipeline(asked: Asked) -> Any:
    return asked.show.pipeline_detail(_found(asked, "Pipeline"))


def pipeline_jobs(asked: Asked) -> Listing:
    """Retried ones only if asked for."""
    rows = _found(asked, "Pipeline").jobs
    if not asked.flag("include_retried"):
        rows = [job for job in rows if not job.retried]
    return Listing(_scoped(asked, rows)[::-1], asked.show.job)


def _scoped(asked: Asked, rows: list[Any]) -> list[Any]:
    if not (scopes := set(asked.values("scope"))):
        return rows
    return [job for job in rows if seen(job, asked.world.now)[0] in scopes]


def bridges(asked: Asked) -> Listing:
    bridge = _found(asked, "Pipeline").bridge
    return Listing([bridge] if bridge else [], asked.show.bridge)


def jobs(asked: Asked) -> Listing:
    _needs_ci(asked)
    rows = _scoped(asked, asked.project.jobs)
    return Listing(rows[::-1], asked.show.job, keyset=True, kind="Ci::Build")


def job(asked: Asked) -> Any:
    return asked.show.job(_found(asked, "Job"))


def deployments(asked: Asked) -> Listing:
    _check_deployment_filters(asked)
    rows = same(asked, asked.project.deployments, environment="environment.name", status="status")
    rows = between(asked, rows, "updated", lambda row: row.updated)
    rows = between(asked, rows, "finished", lambda row: row.finished)
    rows = ordered(asked, rows, DEPLOYMENT_ORDERS, default="id", sort="asc", tie_desc=True)
    return Listing(rows, asked.show.deployment)


def _check_deployment_filters(asked: Asked) -> None:
    updated = asked.text("updated_after") or asked.text("updated_before")
    finished = asked.text("finished_after") or asked.text("finished_before")
    order = asked.text("order_by")
    if updated and finished:
        raise bad("Both `updated_at` filter and `finished_at` filter can not be specified")
    if updated and order != "updated_at":
        raise bad("`updated_at` filter and `updated_at` sorting must be paired")
    if finished and (order != "finished_at" or asked.text("status") != "success"):
        raise bad(
            "`finished_at` filter must be combined with `success` status filter and `finished_at` sorting"
        )


def deployment(asked: Asked) -> Any:
    return asked.show.deployment(_found(asked, "Deployment"))


def deployed_merge_requests(asked: Asked) -> Listing:
    return Listing(_found(asked, "Deployment").merge_requests, asked.show.merge_request)


def environments(asked: Asked) -> Listing:
    rows = same(asked, sorted(asked.project.environments.values(), key=lambda one: one.name), name="name")
    return Listing(rows, asked.show.environment)

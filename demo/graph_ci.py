"""What each GraphQL field says of pipelines, jobs and deployments: as far as the clock has come."""

from __future__ import annotations

from typing import Any

from demo.connections import Connection, connect
from demo.entities import Job, Pipeline
from demo.fielding import always, gid, itself, plain, text, time, upper
from demo.job_times import seen
from demo.repository import number_of
from demo.times import SECOND, iso_seconds


def _ref_path(pipeline: Pipeline, context: Any) -> str:
    if pipeline.ref.startswith("refs/"):
        return pipeline.ref
    return f"refs/{'tags' if pipeline.tag else 'heads'}/{pipeline.ref}"


def _waited(pipeline: Pipeline, context: Any) -> float | None:
    return (pipeline.started - pipeline.created) / SECOND if pipeline.started else None


def _sha(pipeline: Pipeline, context: Any, **args: Any) -> str:
    return pipeline.sha[:8] if args.get("format") == "SHORT" else pipeline.sha


def _event(pipeline: Pipeline, context: Any) -> str | None:
    return "DETACHED" if pipeline.source == "merge_request_event" else None


plain(
    "Pipeline",
    id=gid("Ci::Pipeline"), iid=text("iid"), status=upper("status"), source="source",
    sha=_sha, ref="ref", refPath=_ref_path,
    createdAt=time("created"), updatedAt=time("updated"), startedAt=time("started"),
    finishedAt=time("finished"), committedAt=always(None), duration="duration", queuedDuration=_waited,
    user="user", commit=lambda pipeline, _: pipeline.project.commits.get(pipeline.sha),
    mergeRequestEventType=_event, configSource=always("REPOSITORY_SOURCE"),
    complete=lambda pipeline, _: pipeline.finished is not None,
    active=lambda pipeline, _: pipeline.status in ("created", "running"),
)  # fmt: skip


def _length(job: Job, context: Any) -> int | None:
    _, started, finished = seen(job, context.now)
    return (finished - started) // SECOND if started and finished else None


def _queued(job: Job, context: Any) -> float | None:
    return job.queued / SECOND if job.queued and seen(job, context.now)[1] else None


def _needs(job: Job, context: Any, **args: Any) -> Connection:
    return connect(list(job.spec.needs or ()), args, context=context)


plain(
    "CiJob",
    id=lambda job, _: f"gid://gitlab/Ci::{'Bridge' if job.spec.bridge else 'Build'}/{job.id}",
    kind=lambda job, _: "BRIDGE" if job.spec.bridge else "BUILD",
    name="spec.name", status=lambda job, context: seen(job, context.now)[0].upper(), retried="retried",
    allowFailure="spec.allow_failure", manualJob="spec.manual", createdAt=time("created"),
    queuedAt=time("created"), startedAt=lambda job, context: iso_seconds(seen(job, context.now)[1]),
    finishedAt=lambda job, context: iso_seconds(seen(job, context.now)[2]), duration=_length,
    queuedDuration=_queued, schedulingType=lambda job, _: "stage" if job.spec.needs is None else "dag",
    stage="spec", needs=_needs, pipeline="pipeline", refName="pipeline.ref",
)  # fmt: skip
plain("CiStage", id=lambda spec, _: f"gid://gitlab/Ci::Stage/{number_of(spec.stage)}", name="stage")
plain("CiBuildNeed", id=lambda name, _: f"gid://gitlab/Ci::BuildNeed/{number_of(name)}", name=itself)
plain("Environment", id=gid("Environment"), name="name", tier=upper("tier"), state=always("available"))
plain(
    "Deployment",
    id=gid("Deployment"), iid=text("iid"), status=upper("status"), ref="ref", tag="tag", sha="sha",
    createdAt=time("created"), updatedAt=time("updated"), finishedAt=time("finished"), job="job",
    triggerer="user",
)  # fmt: skip

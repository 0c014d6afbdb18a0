"""Random pipelines, jobs with stages, needs and retries, and deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.metrics.tests.oracle.days import HOUR
from apps.metrics.tests.oracle.records import Job, Pipeline, Project, Record

if TYPE_CHECKING:
    from apps.metrics.tests.oracle.growing import Grower

STAGES = {"compile": "build", "unit": "test", "lint": "test", "ship": "deploy", "rollback app": "deploy"}


def grow_pipelines(grower: Grower, project: Project) -> None:
    aside = [f"{grower.id():040x}" for _ in range(2)]  # commits of a release branch
    shas = [one.sha for one in grower.random.sample(project.commits, k=min(3, len(project.commits)))]
    shas += [tag.sha for tag in project.tags]
    of_tag = {tag.name: tag.sha for tag in project.tags}
    choice = grower.random.choice
    for created in bursts(grower, len(grower.some(4, grower.most.pipelines))):
        source = choice(["push", "push", "push", "schedule", "merge_request_event", "parent_pipeline"])
        refs = [
            "main",
            "main",
            "main",
            "feature",
            "release/1",
            "rollback",
            *(tag.name for tag in project.tags),
        ]
        ref = "refs/merge-requests/1/head" if source == "merge_request_event" else choice(refs)
        finished = grower.at(created, days=choice([0.1, 2]))
        project.pipelines.append(
            Pipeline(
                pipeline_id=grower.id(),
                sha=of_tag.get(ref) or choice([*shas, *shas, *aside]),
                ref=ref,
                source=source,
                status=choice(["success", "success", "success", "failed", "failed", "canceled"]),
                created=created,
                updated=finished,
                finished_at=finished if grower.chance(0.8) else None,
                duration=grower.random.randint(1, 9999) if grower.chance(0.8) else None,
            )
        )


def bursts(grower: Grower, count: int) -> list[int]:
    """Instants of which many follow each other within a day."""
    found = [grower.at()] if count else []
    while len(found) < count:
        found.append(grower.at(found[-1], days=0.8) if grower.chance(0.6) else grower.at())
    return sorted(found)


def grow_jobs(grower: Grower, project: Project) -> None:
    for pipeline in project.pipelines:
        names = grower.random.sample(list(STAGES), k=len(grower.some(0, grower.most.jobs)))
        names.sort(key=lambda name: list(STAGES.values()).index(STAGES[name]))
        attempts = [(name, 0) for name in names]
        attempts += [(name, 1) for name in names if grower.chance(0.25)]
        for name, _ in attempts:
            earlier = [job.name for job in pipeline.jobs if STAGES[job.name] != STAGES[name]]
            needs = grower.random.sample(earlier, k=min(len(earlier), grower.random.randint(0, 2)))
            for job in pipeline.jobs:
                job.retried = job.retried or job.name == name
            by_needs = names.index(name) > 0 and grower.chance(0.3)
            pipeline.jobs.append(one_job(grower, pipeline, name, sorted(set(needs)) if by_needs else None))
        later_need_only_earlier(pipeline)


def later_need_only_earlier(pipeline: Pipeline) -> None:
    """A job needs jobs of stages before its own only, as most do; needs never run in a circle."""
    order = list(dict.fromkeys(STAGES.values()))
    for job in pipeline.jobs:
        if job.needs is not None:
            job.needs = [n for n in job.needs if order.index(STAGES[n]) < order.index(job.stage)]


def one_job(grower: Grower, pipeline: Pipeline, name: str, needs: list[str] | None) -> Job:
    status = grower.random.choice(["success", "success", "failed", "failed", "canceled", "created"])
    started = pipeline.created + grower.random.randint(0, 3 * HOUR)
    finished = started + grower.random.randint(0, 2 * HOUR)
    ran = status != "created"
    return Job(
        grower.id(), name, STAGES[name], status, started if ran else None, finished if ran else None, needs
    )


def grow_records(grower: Grower, project: Project) -> None:
    if grower.chance(0.3) or not project.pipelines:
        return
    green = [one for one in project.pipelines if one.status == "success"] or project.pipelines
    pipeline = grower.random.choice(green)
    for _ in grower.some(1, grower.most.records):
        if grower.chance(0.6):  # else it is deployed again
            pipeline = grower.random.choice(green if grower.chance(0.8) else project.pipelines)
        by_api = grower.chance(0.2)
        sha = grower.random.choice(project.commits).sha if by_api else pipeline.sha
        created = grower.at() if by_api else pipeline.created
        finished = grower.at(created, days=1)
        project.records.append(
            Record(
                deployment_id=grower.id(),
                environment=grower.random.choice(["production", "production", "live", "prod/eu", "staging"]),
                status=grower.random.choice(["success", "success", "success", "failed"]),
                sha=sha,
                pipeline=None if by_api else pipeline.pipeline_id,
                created=created,
                updated=finished,
                finished_at=finished if grower.chance(0.8) else None,
            )
        )

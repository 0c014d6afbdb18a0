"""What METRICS.md says of pipelines and their jobs."""

from __future__ import annotations

from apps.metrics.tests.oracle.records import Job, Pipeline, Project

Points = list[tuple[int, int]]
ENDED = ("success", "failed")


def listed(project: Project) -> list[Pipeline]:
    """Those that GitLab's page of pipelines lists, in the order of their ids."""
    own = [one for one in project.pipelines if one.source != "parent_pipeline"]
    return sorted(own, key=lambda one: one.pipeline_id)


def outcomes(project: Project) -> Points:
    return [(one.created, int(one.status == "success")) for one in listed(project) if one.status in ENDED]


def times_to_green(project: Project) -> Points:
    found = []
    for failed in listed(project):
        later = [
            one
            for one in listed(project)
            if one.pipeline_id > failed.pipeline_id and one.ref == failed.ref and one.status == "success"
        ]
        if failed.status == "failed" and later and later[0].finished > failed.finished:
            found.append((later[0].finished, later[0].finished - failed.finished))
    return found


def durations(project: Project) -> Points:
    return [
        (one.created, one.duration * 1000)
        for one in listed(project)
        if one.status in ENDED and one.duration is not None
    ]


def critical_path(jobs: list[Job]) -> int | None:
    order: list[str] = []
    last: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda one: one.job_id):
        last[job.name] = job
        if job.stage not in order:
            order.append(job.stage)
    ran = {name: job for name, job in last.items() if job.started is not None and job.finished is not None}

    def ends(job: Job) -> int:
        if job.needs is None:
            waits = [other for other in ran.values() if order.index(other.stage) < order.index(job.stage)]
        else:
            waits = [ran[name] for name in job.needs if name in ran]
        assert job.started is not None and job.finished is not None
        return max([0, *(ends(other) for other in waits)]) + job.finished - job.started

    return max((ends(job) for job in ran.values()), default=None)


def critical_paths(project: Project) -> Points:
    lengths = [(one.created, critical_path(one.jobs)) for one in listed(project) if one.status in ENDED]
    return [(at, length) for at, length in lengths if length is not None]


def flakiness(project: Project) -> Points:
    groups: dict[tuple[str, str], list[Job]] = {}
    for pipeline in project.pipelines:
        for job in pipeline.jobs:
            if job.status in ENDED and job.finished is not None:
                groups.setdefault((pipeline.sha, job.name), []).append(job)
    found = []
    for attempts in groups.values():
        attempts.sort(key=lambda job: (job.finished, job.job_id))
        states = [job.status for job in attempts]
        flaky = "failed" in states and "success" in states[states.index("failed") :]
        assert attempts[-1].finished is not None
        found.append((attempts[-1].finished, int(flaky)))
    return found

"""When the jobs of a pipeline run: given at its begin, shown only as far as the clock has come."""

from __future__ import annotations

from random import Random

from demo.entities import Job, Pipeline
from demo.times import MINUTE, SECOND

REASONS = (
    "script_failure",
    "script_failure",
    "script_failure",
    "runner_system_failure",
    "stuck_or_timeout_failure",
)


class Course:
    """How far the planning of one pipeline has come: when jobs and stages end, and what is broken."""

    def __init__(self, begin: int) -> None:
        self.begin = self.stage_begin = begin
        self.stage, self.behind_broken = "", False
        self.ends: dict[str, int] = {}
        self.stage_ends: dict[str, int] = {}
        self.broken: set[str] = set()

    def enter(self, stage: str) -> None:
        """Jobs without needs wait for all earlier stages, and are skipped behind a broken one."""
        if stage != self.stage:
            self.stage_begin = max([self.stage_begin, *self.stage_ends.values()])
            self.stage, self.behind_broken = stage, bool(self.broken)

    def blocked(self, needs: tuple[str, ...] | None) -> bool:
        """Whether something that the job waits for has failed."""
        return self.behind_broken if needs is None else any(name in self.broken for name in needs)

    def free(self, needs: tuple[str, ...] | None) -> int:
        """The instant from which the job could run."""
        if needs is None:
            return self.stage_begin
        return max([self.begin, *(self.ends.get(name, self.begin) for name in needs)])


def plan(
    pipeline: Pipeline, rng: Random, begin: int, *, breaks: Job | None, flakes: Job | None
) -> tuple[int, int] | None:
    """Give every job that will run its times; the times of the flaky one's second attempt, if any."""
    again = None
    factor = rng.lognormvariate(0, 0.25)
    course = Course(begin)
    for job in pipeline.jobs:
        spec = job.spec
        course.enter(spec.stage)
        if spec.manual:
            continue
        if course.blocked(spec.needs):
            job.status = "skipped"
            course.broken.add(spec.name)
            continue
        length = _run(job, rng, course.free(spec.needs), factor)
        end = job.finished or begin
        if job is breaks or (spec.allow_failure and rng.random() < 0.08):
            job.status, job.reason = "failed", rng.choice(REASONS)
            if not spec.allow_failure:
                course.broken.add(spec.name)
        if job is flakes:
            job.status, job.reason = "failed", "script_failure"
            again = (end + 4 * SECOND, end + 4 * SECOND + length)
            end = again[1]
        course.ends[spec.name] = course.stage_ends[spec.name] = end
    return again


def _run(job: Job, rng: Random, free: int, factor: float) -> int:
    """A successful run as soon as the job is free; answers its length."""
    job.queued = int((1 + 9 * rng.random()) * SECOND)
    job.started = free + job.queued
    length = int(job.spec.minutes * factor * (0.85 + 0.3 * rng.random()) * MINUTE) + SECOND
    job.finished = job.started + length
    job.status = "success"
    return length


def seconds_run(jobs: list[Job]) -> int:
    """GitLab's duration: the seconds in which at least one job ran."""
    total, reached = 0, 0
    for start, end in sorted((job.started, job.finished) for job in jobs if job.started and job.finished):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total // SECOND


def seen(job: Job, now: int) -> tuple[str, int | None, int | None]:
    """Status, start and end of a job as far as the clock has come."""
    if job.started is None or job.started > now:
        if job.started is None and job.pipeline.status not in ("created", "running"):
            return job.status, None, None
        return "manual" if job.spec.manual else "created", None, None
    if job.finished is None or job.finished > now:
        return "running", job.started, None
    return job.status, job.started, job.finished

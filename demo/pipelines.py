"""Pipelines: planned when they begin, retried and played by people later."""

from __future__ import annotations

from demo.deploying import Deployer
from demo.entities import Job, Pipeline, Project, User
from demo.habits import JobSpec
from demo.job_times import plan, seconds_run
from demo.repository import next_id
from demo.simulation import Life, Simulation
from demo.times import DAY, MINUTE, SECOND, after_work


class Runner:
    """Runs the pipelines of one project."""

    def __init__(self, project: Project, simulation: Simulation, ci: dict[str, tuple[JobSpec, ...]]) -> None:
        self.project, self.simulation, self._ci = project, simulation, ci
        self.deployer = Deployer(self)

    def start(
        self, kind: str, ref: str, sha: str, user: User, source: str = "push", *, tag: bool = False
    ) -> Pipeline | None:
        """Create a pipeline now and let it run its course."""
        project, now = self.project, self.simulation.now
        if not project.builds_on:
            return None
        number = project.counters["pipeline_iid"] = project.counters.get("pipeline_iid", 0) + 1
        made = Pipeline(
            id=next_id(project, "pipeline"),
            iid=number,
            project=project,
            ref=ref,
            sha=sha,
            source=source,
            user=user,
            created=now,
            updated=now,
            tag=tag,
            dag=project.habits.dag,
        )
        project.pipelines.append(made)
        project.by_id[made.id] = made
        for spec in self._ci[kind]:
            self._add_job(made, spec)
        self.simulation.begin(self._run(made))
        return made

    def _add_job(self, pipeline: Pipeline, spec: JobSpec) -> Job:
        now = self.simulation.now
        job = Job(next_id(self.project, "job"), pipeline, spec, "manual" if spec.manual else "created", now)
        if spec.bridge:
            pipeline.bridge = job
            self.project.bridges.append(job)
        else:
            pipeline.jobs.append(job)
            self.project.jobs.append(job)
        self.project.by_id[job.id] = job
        return job

    def _run(self, pipeline: Pipeline) -> Life:
        rng, habits = self.project.rng, self.project.habits
        chance = rng.random()
        if chance < 0.006:
            pipeline.status = "skipped"
            for job in pipeline.jobs:
                job.status = "skipped"
            return
        breaks = self._pick(pipeline) if chance < 0.006 + habits.fails else None
        flakes = self._pick(pipeline) if breaks is None and rng.random() < habits.flaky else None
        begin = self.simulation.now + int(rng.uniform(2, 25) * SECOND)
        again = plan(pipeline, rng, begin, breaks=breaks, flakes=flakes)
        yield begin
        self.mark(pipeline, "running", started=begin)
        self._deploy(pipeline)
        if breaks is None and rng.random() < 0.02:
            yield begin + int(rng.uniform(0.5, 4) * MINUTE)
            self._cancel(pipeline)
            return
        if flakes is not None and again is not None:
            yield flakes.finished or begin
            self.attempt(flakes, again)
        yield max((job.finished for job in pipeline.jobs if job.finished), default=begin)
        self.finish(pipeline)
        if pipeline.status == "failed" and breaks is not None:
            yield from self._perhaps_retry(pipeline, breaks)
        if pipeline.status == "manual":
            yield from self._play(pipeline)

    def _pick(self, pipeline: Pipeline) -> Job | None:
        able = [job for job in pipeline.jobs if not job.spec.manual and not job.spec.allow_failure]
        return self.project.rng.choice(able) if able else None

    def attempt(self, old: Job, times: tuple[int, int]) -> Job:
        """A further, successful attempt of a job; the old one is hidden from then on."""
        old.retried = True
        job = self._add_job(old.pipeline, old.spec)
        job.status, (job.started, job.finished), job.queued = "success", times, times[0] - job.created
        return job

    def mark(self, pipeline: Pipeline, status: str, **changes: int | None) -> None:
        """A change of the pipeline's state now."""
        pipeline.status, pipeline.updated, pipeline.json = status, self.simulation.now, None
        for name, value in changes.items():
            setattr(pipeline, name, value)

    def finish(self, pipeline: Pipeline) -> None:
        """What the latest attempts make of the pipeline, now that nothing runs any more."""
        latest = [job for job in pipeline.jobs if not job.retried and not job.spec.allow_failure]
        status = "success"
        if any(job.status == "failed" for job in latest):
            status = "failed"
        elif any(job.spec.manual and job.status == "manual" for job in latest):
            status = "manual"
        finished = None if status == "manual" else self.simulation.now
        self.mark(pipeline, status, finished=finished, duration=seconds_run(pipeline.jobs))
        if pipeline.bridge and status == "success" and pipeline.child is None:
            self._trigger(pipeline, pipeline.bridge)

    def _trigger(self, pipeline: Pipeline, bridge: Job) -> None:
        now = self.simulation.now
        bridge.status, bridge.started, bridge.finished = "success", now, now + SECOND
        pipeline.child = self.start("child", pipeline.ref, pipeline.sha, pipeline.user, "parent_pipeline")

    def _cancel(self, pipeline: Pipeline) -> None:
        now = self.simulation.now
        for job in pipeline.jobs:
            if job.finished is None or job.finished > now:
                job.status = "canceled" if not job.spec.manual else job.status
                job.finished = now if job.started and job.started <= now else None
                job.started = job.started if job.finished else None
        self.mark(pipeline, "canceled", finished=now, duration=seconds_run(pipeline.jobs))

    def _perhaps_retry(self, pipeline: Pipeline, broken: Job) -> Life:
        """Soon, or weeks later, or never."""
        rng, soon = self.project.rng, self.project.habits.in_place
        chance = rng.random()
        if chance < soon + 0.03:
            late = 0 if chance < soon else int(rng.uniform(7, 40) * DAY)
            yield after_work(self.simulation.now + late, rng.uniform(0.1, 3))
            yield from self._retry(pipeline, broken)

    def _retry(self, pipeline: Pipeline, broken: Job) -> Life:
        """Someone presses retry: the same pipeline turns green in place."""
        rng, now = self.project.rng, self.simulation.now
        self.mark(pipeline, "running", finished=None)
        begin = now + 5 * SECOND
        moment = begin + (broken.finished or now) - (broken.started or now)
        self.attempt(broken, (begin, moment))
        for job in pipeline.jobs:
            if job.status == "skipped":
                job.queued = 2 * SECOND
                job.started = moment + job.queued
                job.finished = moment = job.started + int(job.spec.minutes * rng.uniform(0.8, 1.3) * MINUTE)
                job.status = "success"
        self._deploy(pipeline)
        yield moment
        self.finish(pipeline)

    def _play(self, pipeline: Pipeline) -> Life:
        """A person starts the waiting jobs, or never does."""
        rng = self.project.rng
        if rng.random() < 0.45:
            return
        yield after_work(self.simulation.now, rng.expovariate(1 / 6))
        self.mark(pipeline, "running")
        waiting = [
            job
            for job in pipeline.jobs
            if job.spec.manual and not job.spec.allow_failure and job.status == "manual"
        ]
        for job in waiting:
            self.press(job)
        self._deploy(pipeline)
        yield max((job.finished for job in waiting if job.finished), default=self.simulation.now)
        self.finish(pipeline)

    def press(self, job: Job) -> None:
        """A person starts a manual job now."""
        rng = self.project.rng
        job.queued = int(rng.uniform(1, 6) * SECOND)
        job.started = self.simulation.now + job.queued
        job.finished = job.started + int(job.spec.minutes * rng.uniform(0.8, 1.4) * MINUTE)
        job.status = "success" if rng.random() > 0.03 else "failed"
        job.reason = "script_failure" if job.status == "failed" else None

    def _deploy(self, pipeline: Pipeline) -> None:
        """Deployments of the jobs that have yet to start."""
        for job in pipeline.jobs:
            if job.spec.environment and job.started and job.started >= self.simulation.now:
                self.simulation.begin(self.deployer.by_job(job))

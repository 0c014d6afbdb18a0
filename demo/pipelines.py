"""Pipelines: planned when they begin, seen as far as the clock has come."""

from __future__ import annotations

from demo.entities import Deployment, Job, Pipeline, Project, User
from demo.habits import JobSpec
from demo.repository import next_id
from demo.simulation import Life, Simulation
from demo.times import HOUR, MINUTE, SECOND, after_work

REASONS = (
    "script_failure",
    "script_failure",
    "script_failure",
    "runner_system_failure",
    "stuck_or_timeout_failure",
)


class Runner:
    """Runs the pipelines of one project."""

    def __init__(self, project: Project, simulation: Simulation, ci: dict[str, tuple[JobSpec, ...]]) -> None:
        self.project, self.simulation, self._ci = project, simulation, ci
        self._undeployed: dict[str, list] = {}

    def start(
        self, kind: str, ref: str, sha: str, user: User, source: str = "push", *, tag: bool = False
    ) -> Pipeline | None:
        """Create a pipeline now and let it run its course."""
        project, now = self.project, self.simulation.now
        if not project.builds_on:
            return None
        number = project.counters["pipeline_iid"] = project.counters.get("pipeline_iid", 0) + 1
        made = Pipeline(
            next_id(project, "pipeline"), number, project, ref, sha, source, user, now, now, tag,
            dag=project.habits.dag,
        )  # fmt: skip
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
        again = self._plan(pipeline, begin, breaks=breaks, flakes=flakes)
        yield begin
        self._mark(pipeline, "running", started=begin)
        self._deploys(pipeline)
        if breaks is None and rng.random() < 0.02:
            yield begin + int(rng.uniform(0.5, 4) * MINUTE)
            self._cancel(pipeline)
            return
        if flakes is not None and again is not None:
            yield flakes.finished or begin
            self._attempt(pipeline, flakes, again)
        yield max((job.finished for job in pipeline.jobs if job.finished), default=begin)
        self._finish(pipeline)
        if pipeline.status == "failed" and breaks is not None and rng.random() < habits.in_place:
            yield after_work(self.simulation.now, rng.uniform(0.1, 3))
            yield from self._retry(pipeline, breaks)
        if pipeline.status == "manual":
            yield from self._play(pipeline)

    def _pick(self, pipeline: Pipeline) -> Job | None:
        able = [job for job in pipeline.jobs if not job.spec.manual and not job.spec.allow_failure]
        return self.project.rng.choice(able) if able else None

    def _plan(
        self, pipeline: Pipeline, begin: int, *, breaks: Job | None = None, flakes: Job | None = None
    ) -> tuple[int, int] | None:
        """Give every job that will run its times; the times of the second attempt of the flaky one, if
        any.
        """
        rng, again = self.project.rng, None
        factor = rng.lognormvariate(0, 0.25)
        ends: dict[str, int] = {}
        stages: dict[str, int] = {}
        broken: set[str] = set()
        stage_end, broken_stage, stage = begin, False, ""
        for job in pipeline.jobs:
            spec = job.spec
            if spec.stage != stage:
                stage_end = max([stage_end, *stages.values()])
                stage, broken_stage = spec.stage, bool(broken)
            if job.finished is not None and job.status == "success":
                ends[spec.name] = job.finished
                continue
            needs = spec.needs
            if spec.manual:
                continue
            if any(name in broken for name in needs) if needs is not None else broken_stage:
                job.status = "skipped"
                broken.add(spec.name)
                continue
            free = stage_end if needs is None else max([begin, *(ends.get(name, begin) for name in needs)])
            job.queued = int((1 + 9 * rng.random()) * SECOND)
            job.started = free + job.queued
            length = int(spec.minutes * factor * (0.85 + 0.3 * rng.random()) * MINUTE) + SECOND
            job.finished = job.started + length
            job.status = "success"
            if job is breaks or (spec.allow_failure and rng.random() < 0.08):
                job.status, job.reason = "failed", rng.choice(REASONS)
                if not spec.allow_failure:
                    broken.add(spec.name)
            end = job.finished
            if job is flakes:
                job.status, job.reason = "failed", "script_failure"
                again = (job.finished + 4 * SECOND, job.finished + 4 * SECOND + length)
                end = again[1]
            ends[spec.name] = stages[spec.name] = end
        return again

    def _attempt(self, pipeline: Pipeline, old: Job, times: tuple[int, int]) -> Job:
        """A further attempt of a job; the old one is hidden from then on."""
        old.retried = True
        job = self._add_job(pipeline, old.spec)
        job.status, (job.started, job.finished), job.queued = "success", times, times[0] - job.created
        return job

    def _mark(self, pipeline: Pipeline, status: str, **changes: int | None) -> None:
        pipeline.status, pipeline.updated, pipeline.json = status, self.simulation.now, None
        for name, value in changes.items():
            setattr(pipeline, name, value)

    def _finish(self, pipeline: Pipeline) -> None:
        latest = [job for job in pipeline.jobs if not job.retried]
        ran = sorted((job.started, job.finished) for job in pipeline.jobs if job.started and job.finished)
        status = "success"
        if any(job.status == "failed" and not job.spec.allow_failure for job in latest):
            status = "failed"
        elif any(job.spec.manual and not job.spec.allow_failure and job.status == "manual" for job in latest):
            status = "manual"
        finished = None if status == "manual" else self.simulation.now
        self._mark(pipeline, status, finished=finished, duration=_union(ran) // SECOND)
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
        ran = sorted((job.started, job.finished) for job in pipeline.jobs if job.started and job.finished)
        self._mark(pipeline, "canceled", finished=now, duration=_union(ran) // SECOND)

    def _retry(self, pipeline: Pipeline, broken: Job) -> Life:
        """Someone presses retry: the same pipeline turns green in place."""
        rng, now = self.project.rng, self.simulation.now
        self._mark(pipeline, "running", finished=None)
        begin = now + 5 * SECOND
        broken_length = (broken.finished or now) - (broken.started or now)
        self._attempt(pipeline, broken, (begin, begin + broken_length))
        skipped = [job for job in pipeline.jobs if job.status == "skipped"]
        moment = begin + broken_length
        for job in skipped:
            job.queued = 2 * SECOND
            job.started = moment + job.queued
            job.finished = moment = job.started + int(job.spec.minutes * rng.uniform(0.8, 1.3) * MINUTE)
            job.status = "success"
        self._deploys(pipeline)
        yield moment
        self._finish(pipeline)

    def _play(self, pipeline: Pipeline) -> Life:
        """A person starts the waiting jobs, or never does."""
        rng = self.project.rng
        if rng.random() < 0.45:
            return
        yield after_work(self.simulation.now, rng.expovariate(1 / 6))
        now = self.simulation.now
        self._mark(pipeline, "running")
        moment = now
        for job in pipeline.jobs:
            if job.spec.manual and not job.spec.allow_failure and job.status == "manual":
                self._start_manual(job, now)
                moment = max(moment, job.finished or now)
        self._deploys(pipeline)
        yield moment
        self._finish(pipeline)

    def _start_manual(self, job: Job, now: int) -> None:
        rng = self.project.rng
        job.queued = int(rng.uniform(1, 6) * SECOND)
        job.started = now + job.queued
        job.finished = job.started + int(job.spec.minutes * rng.uniform(0.8, 1.4) * MINUTE)
        job.status = "success" if rng.random() > 0.03 else "failed"
        job.reason = "script_failure" if job.status == "failed" else None

    def _deploys(self, pipeline: Pipeline) -> None:
        for job in pipeline.jobs:
            if job.spec.environment and job.started and job.started >= self.simulation.now:
                self.simulation.begin(self._deploy(job))

    def _deploy(self, job: Job) -> Life:
        yield job.started or self.simulation.now
        if job.status not in ("success", "failed"):
            return
        pipeline = job.pipeline
        environment = job.spec.environment
        made = self.deployment(
            environment, pipeline.sha, pipeline.ref, pipeline.user, job=job, tag=pipeline.tag
        )
        yield job.finished or self.simulation.now
        self.settle(
            made, "success" if job.status == "success" else "failed" if job.status == "failed" else "canceled"
        )

    def deployment(
        self, environment: str, sha: str, ref: str, user: User, *, job: Job | None = None, tag: bool = False
    ) -> Deployment:
        """A deployment that begins now."""
        project, now = self.project, self.simulation.now
        number = project.counters["deployment_iid"] = project.counters.get("deployment_iid", 0) + 1
        made = Deployment(
            next_id(project, "deployment"), number, project.environments[environment], ref, sha, tag, user,
            now, now,
            status="running", job=job,
        )  # fmt: skip
        project.deployments.append(made)
        project.by_id[made.id] = made
        return made

    def settle(self, made: Deployment, status: str) -> None:
        """A deployment ends now."""
        now = self.simulation.now
        made.status, made.updated, made.finished = status, now, now
        environment = made.environment
        if status == "success":
            environment.last, environment.updated = made, now
            waiting = self._undeployed.pop(environment.name, [])
            made.merge_requests = waiting
            if environment.tier == "production":
                for merge_request in waiting:
                    merge_request.deployed = merge_request.deployed or now
                if self.project.rng.random() < 0.06:
                    self.simulation.begin(self._roll_back(made))

    def landed(self, merge_request) -> None:
        """A merged MR waits for its deployments."""
        for name in self.project.environments:
            self._undeployed.setdefault(name, []).append(merge_request)

    def _roll_back(self, bad: Deployment) -> Life:
        """The one before is deployed again: by its old pipeline's job, or by the job that is called
        rollback.
        """
        rng = self.project.rng
        older = [
            one for one in self.project.deployments[-80:]
            if one.environment is bad.environment and one.status == "success" and one.sha != bad.sha
        ]  # fmt: skip
        if not older:
            return
        yield self.simulation.now + int(rng.uniform(0.3, 5) * HOUR)
        good, now = older[-1], self.simulation.now
        if good.job is None:
            again = self.deployment(bad.environment.name, good.sha, good.ref, bad.user)
            yield now + MINUTE
            self.settle(again, "success")
            return
        pipeline = good.job.pipeline
        named = next((job for job in pipeline.jobs if job.spec.name.startswith("rollback")), None)
        if named and named.status == "manual" and bad.environment.name == "production" and rng.random() < 0.5:
            self._start_manual(named, now)
            job = named
        else:
            job = self._attempt(pipeline, good.job, (now + 4 * SECOND, now + 3 * MINUTE))
        self._mark(pipeline, "running")
        self.simulation.begin(self._deploy(job))
        yield job.finished or now
        self._finish(pipeline)


def _union(intervals: list[tuple[int, int]]) -> int:
    """Milliseconds in which at least one job ran."""
    total, reached = 0, 0
    for start, end in intervals:
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total


def seen(job: Job, now: int) -> tuple[str, int | None, int | None]:
    """Status, start and end of a job as far as the clock has come."""
    if job.started is None or job.started > now:
        if job.started is None and job.pipeline.status not in ("created", "running"):
            return job.status, None, None
        return "manual" if job.spec.manual else "created", None, None
    if job.finished is None or job.finished > now:
        return "running", job.started, None
    return job.status, job.started, job.finished

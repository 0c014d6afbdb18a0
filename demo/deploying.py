"""Deployments of one project, by its jobs or through the API, and the way back from a bad one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.entities import Deployment, Job, MergeRequest, User
from demo.repository import next_id
from demo.simulation import Life
from demo.times import HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from demo.pipelines import Runner


class Deployer:
    """Knows what has landed and waits for an environment."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.project, self.simulation = runner, runner.project, runner.simulation
        self._undeployed: dict[str, list[MergeRequest]] = {}

    def landed(self, merge_request: MergeRequest) -> None:
        """A merged MR waits for its deployments."""
        for name in self.project.environments:
            self._undeployed.setdefault(name, []).append(merge_request)

    def by_job(self, job: Job) -> Life:
        """What a job with an environment does while it runs."""
        yield job.started or self.simulation.now
        if job.status not in ("success", "failed"):
            return
        pipeline = job.pipeline
        made = self.begin(
            job.spec.environment, pipeline.sha, pipeline.ref, pipeline.user, job=job, tag=pipeline.tag
        )
        yield job.finished or self.simulation.now
        self.settle(made, job.status if job.status in ("success", "failed") else "canceled")

    def begin(
        self, environment: str, sha: str, ref: str, user: User, *, job: Job | None = None, tag: bool = False
    ) -> Deployment:
        """A deployment that begins now; without a job it is one made through the API."""
        project, now = self.project, self.simulation.now
        number = project.counters["deployment_iid"] = project.counters.get("deployment_iid", 0) + 1
        made = Deployment(
            id=next_id(project, "deployment"),
            iid=number,
            environment=project.environments[environment],
            ref=ref,
            sha=sha,
            tag=tag,
            user=user,
            created=now,
            updated=now,
            status="running",
            job=job,
        )
        project.deployments.append(made)
        project.by_id[made.id] = made
        return made

    def settle(self, made: Deployment, status: str) -> None:
        """A deployment ends now."""
        now, environment = self.simulation.now, made.environment
        made.status, made.updated, made.finished = status, now, now
        if status != "success":
            return
        environment.last, environment.updated = made, now
        made.merge_requests = self._undeployed.pop(environment.name, [])
        if environment.tier == "production":
            for merge_request in made.merge_requests:
                merge_request.deployed = merge_request.deployed or now
            if self.project.rng.random() < 0.06:
                self.simulation.begin(self._roll_back(made))

    def _roll_back(self, bad: Deployment) -> Life:
        """The one before is deployed again: by its own old job, by the job called rollback, or by API."""
        rng, environment = self.project.rng, bad.environment
        older = [
            one
            for one in self.project.deployments[-80:]
            if one.environment is environment and one.status == "success" and one.sha != bad.sha
        ]
        if not older:
            return
        yield self.simulation.now + int(rng.uniform(0.3, 5) * HOUR)
        good, now = older[-1], self.simulation.now
        if good.job is None:
            again = self.begin(environment.name, good.sha, good.ref, bad.user)
            yield now + MINUTE
            self.settle(again, "success")
            return
        job = self._way_back(good.job, named=environment.name == "production")
        self.runner.mark(job.pipeline, "running")
        self.simulation.begin(self.by_job(job))
        yield job.finished or now
        self.runner.finish(job.pipeline)

    def _way_back(self, good: Job, *, named: bool) -> Job:
        """The job that brings the old state back: the pipeline's rollback job, or `good` once more."""
        pipeline, now = good.pipeline, self.simulation.now
        waiting = next((job for job in pipeline.jobs if job.spec.name.startswith("rollback")), None)
        if waiting and waiting.status == "manual" and named and self.project.rng.random() < 0.5:
            self.runner.press(waiting)
            return waiting
        return self.runner.attempt(good, (now + 4 * SECOND, now + 3 * MINUTE))

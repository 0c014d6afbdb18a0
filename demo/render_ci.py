"""Pipelines, jobs, deployments and environments as GitLab's REST answers."""

from __future__ import annotations

from typing import Any

from demo.entities import Deployment, Environment, Job, Pipeline
from demo.job_times import seen
from demo.render_code import CodeAnswers
from demo.render_company import kept
from demo.times import SECOND, iso

RUNNER = {
    "id": 12270807, "description": "shared-1", "ip_address": None, "active": True, "paused": False,
    "is_shared": True, "runner_type": "instance_type", "name": "gitlab-runner", "online": True,
    "status": "online",
}  # fmt: skip


class CiAnswers(CodeAnswers):
    """What runs, as far as the clock has come."""

    def _pipeline(self, made: Pipeline) -> dict[str, Any]:
        return {
            "id": made.id, "iid": made.iid, "project_id": made.project.id, "sha": made.sha, "ref": made.ref,
            "status": made.status, "source": made.source, "created_at": iso(made.created),
            "updated_at": iso(made.updated), "web_url": f"{self.web(made.project)}/-/pipelines/{made.id}",
            "name": None,
        }  # fmt: skip

    @kept
    def pipeline(self, made: Pipeline) -> dict[str, Any]:
        return self._pipeline(made)

    def pipeline_detail(self, made: Pipeline) -> dict[str, Any]:
        return {
            **self._pipeline(made), "before_sha": "0" * 40, "tag": made.tag, "yaml_errors": None,
            "user": self.user(made.user), "started_at": iso(made.started), "finished_at": iso(made.finished),
            "committed_at": None, "duration": made.duration,
            "queued_duration": (made.started - made.created) // SECOND if made.started else None,
            "coverage": "87.40" if made.status == "success" else None, "detailed_status": {
                "icon": f"status_{made.status}", "text": made.status, "label": made.status,
                "group": made.status,
                "tooltip": made.status, "has_details": True,
                "details_path": f"/{made.project.path}/-/pipelines/{made.id}",
                "illustration": None, "favicon": "/assets/ci_favicons/favicon.png",
            },
        }  # fmt: skip

    def job(self, job: Job) -> dict[str, Any]:
        """As far as the clock has come; REST does not say whether it was retried."""
        pipeline = job.pipeline
        project, (status, started, finished) = pipeline.project, seen(job, self.world.now)
        web = self.web(project)
        commit = project.commits.get(pipeline.sha)
        found = {
            "id": job.id, "status": status, "stage": job.spec.stage, "name": job.spec.name,
            "ref": pipeline.ref,
            "tag": pipeline.tag, "coverage": None, "allow_failure": job.spec.allow_failure,
            "created_at": iso(job.created), "started_at": iso(started), "finished_at": iso(finished),
            "erased_at": None, "duration": (finished - started) / SECOND if finished and started else None,
            "queued_duration": job.queued / SECOND if started and job.queued else None,
            "user": self.user(pipeline.user),
            "commit": self.commit(commit) if commit else None, "pipeline": self.pipeline(pipeline),
            "web_url": f"{web}/-/jobs/{job.id}", "project": {"ci_job_token_scope_enabled": False},
            "artifacts": [],
            "runner": RUNNER if started else None, "runner_manager": None, "artifacts_expire_at": None,
            "archived": False, "tag_list": [],
        }  # fmt: skip
        if status == "failed":
            found["failure_reason"] = job.reason
        return found

    def bridge(self, job: Job) -> dict[str, Any]:
        found = self.job(job)
        for key in ("runner", "runner_manager", "artifacts", "artifacts_expire_at", "tag_list"):
            del found[key]
        child = job.pipeline.child
        return {**found, "downstream_pipeline": self.pipeline(child) if child else None}

    def deployment(self, made: Deployment) -> dict[str, Any]:
        """Null `deployable` where no job made it. Not kept: the job's pipeline changes after it."""
        environment = made.environment
        named = {"id": environment.id, "name": environment.name, "external_url": None,
                 "slug": environment.name.replace("/", "-"), "tier": environment.tier}  # fmt: skip
        return {
            "id": made.id, "iid": made.iid, "ref": made.ref, "sha": made.sha, "created_at": iso(made.created),
            "updated_at": iso(made.updated), "user": self.user(made.user), "environment": named,
            "deployable": self.job(made.job) if made.job else None, "status": made.status,
        }  # fmt: skip

    def environment(self, environment: Environment) -> dict[str, Any]:
        return {
            "id": environment.id, "name": environment.name, "slug": environment.name.replace("/", "-"),
            "external_url": None, "state": "available", "tier": environment.tier,
            "created_at": iso(environment.created), "updated_at": iso(environment.updated),
        }  # fmt: skip

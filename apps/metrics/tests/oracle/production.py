"""What is a production deployment, what it brings, and what it takes back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from apps.metrics.tests.oracle.commits import landing, mainline, positions
from apps.metrics.tests.oracle.days import HOUR
from apps.metrics.tests.oracle.issues import counted
from apps.metrics.tests.oracle.people import rules_of
from apps.metrics.tests.oracle.pipelines import listed
from apps.metrics.tests.oracle.records import History, Issue, Mr, Pipeline, Project, Record

Points = list[tuple[int, int]]


@dataclass
class Deployed:
    at: int
    sha: str
    created: int
    environment: str | None
    pipeline: Pipeline | None


def production_records(project: Project, rules: dict[str, Any]) -> list[Record]:
    pattern = rules["production"]["environment"]
    return [
        one
        for one in project.records
        if one.status == "success"
        and (project.tiers.get(one.environment) == "production" or re.search(pattern, one.environment))
    ]


def release_tags(project: Project, rules: dict[str, Any]) -> list[Any]:
    return [tag for tag in project.tags if re.search(rules["production"]["tag"], tag.name)]


def signals_of(project: Project, pipeline: Pipeline, rules: dict[str, Any]) -> set[str]:
    held = set()
    if any(one.pipeline == pipeline.pipeline_id for one in production_records(project, rules)):
        held.add("environment")
    if pipeline.source == "parent_pipeline":
        return held
    green = [one for one in listed(project) if one.status == "success"]
    ours = [one for one in green if one.source != "merge_request_event"]
    first = min((one.pipeline_id for one in ours if one.sha == pipeline.sha), default=None)
    for tag in release_tags(project, rules):
        own = any(one.ref == tag.name for one in green)
        if pipeline.ref == tag.name or (
            not own and tag.sha == pipeline.sha and pipeline.pipeline_id == first
        ):
            held.add("release_tag")
    on_main = [one.pipeline_id for one in ours if one.ref == "main" and one.sha == pipeline.sha]
    if pipeline.pipeline_id == min(on_main, default=None):
        held.add("default_branch")
    return held


def is_deployment(project: Project, pipeline: Pipeline, rules: dict[str, Any]) -> bool:
    if pipeline.status != "success":
        return False
    enabled = set(rules["production"]["signals"])
    held = signals_of(project, pipeline, rules) & enabled
    if rules["production"]["infer"] == "any":
        return bool(held)
    if rules["production"]["infer"] == "all":
        return held == enabled
    records = production_records(project, rules)
    if "environment" in enabled and (
        "environment" in held or any(one.finished <= pipeline.created for one in records)
    ):
        return "environment" in held
    if "release_tag" in enabled and any(tag.at <= pipeline.created for tag in release_tags(project, rules)):
        return "release_tag" in held
    return "default_branch" in held


def of_pipeline(pipeline: Pipeline, own: list[Record]) -> list[Deployed]:
    """The k-th deployments to each of its environments are one."""
    lines: dict[str, list[Record]] = {}
    for record in sorted(own, key=lambda one: (one.finished, one.deployment_id)):
        lines.setdefault(record.environment, []).append(record)
    found = []
    for nth in range(max(len(line) for line in lines.values())):
        together = [line[nth] for line in lines.values() if len(line) > nth]
        first = min(together, key=lambda one: (one.finished, one.deployment_id))
        found.append(Deployed(first.finished, pipeline.sha, pipeline.created, first.environment, pipeline))
    return found


def deployments(project: Project, rules: dict[str, Any]) -> list[Deployed]:
    counts = "environment" in rules["production"]["signals"]
    records = production_records(project, rules)
    found = [
        Deployed(one.finished, one.sha, one.created, one.environment, None)
        for one in records
        if one.pipeline is None and counts
    ]
    for pipeline in project.pipelines:
        own = [one for one in records if one.pipeline == pipeline.pipeline_id]
        if not is_deployment(project, pipeline, rules):
            continue
        if own and counts:
            found += of_pipeline(pipeline, own)
        else:
            found.append(Deployed(pipeline.finished, pipeline.sha, pipeline.created, None, pipeline))
    return found


def is_tagged(one: Deployed, pattern: str) -> bool:
    if one.pipeline is None:
        return False
    names = [one.pipeline.ref, *(job.name for job in one.pipeline.jobs if job.status == "success")]
    return any(re.search(pattern, name) for name in names)


def takes_back(project: Project, before: Deployed | None, undone: Deployed, one: Deployed) -> bool:
    """Whether a commit that it brings reverts one that came with the deployment before it."""
    at = positions(project)
    if one.sha not in at or undone.sha not in at or (before is not None and before.sha not in at):
        return False
    low = 0 if before is None else at[before.sha]
    landed = {mr.mr_id: landing(mr) for mr in project.mrs if mr.merged is not None}
    for commit in project.commits:
        if at[undone.sha] < at.get(commit.sha, 0) <= at[one.sha]:
            for sha in (commit.reverts_sha, landed.get(commit.reverts_mr or 0)):
                if sha is not None and low < at.get(sha, 0) <= at[undone.sha]:
                    return True
    return False


def rollbacks(project: Project, rules: dict[str, Any]) -> list[tuple[Deployed, bool, Deployed | None]]:
    """Every deployment, whether it is a rollback, and what it undoes."""
    at, within = positions(project), rules["rollback"]["within_hours"] * HOUR
    found: list[tuple[Deployed, bool, Deployed | None]] = []
    lines: dict[str | None, list[Deployed]] = {}
    for one in sorted(
        deployments(project, rules), key=lambda d: (d.at, d.pipeline.pipeline_id if d.pipeline else 0)
    ):
        line = lines.setdefault(one.environment, [])
        undone = line[-1] if line else None
        before = line[-2] if len(line) > 1 else None
        soon = undone is not None and one.at - undone.at <= within
        is_one = is_tagged(one, rules["rollback"]["pattern"])
        if undone is not None and soon:
            older = one.sha in at and undone.sha in at and at[one.sha] < at[undone.sha]
            is_one = is_one or older or takes_back(project, before, undone, one)
        found.append((one, is_one, undone if is_one else None))
        line.append(one)
    return found


def rollback_times(project: Project, rules: dict[str, Any]) -> Points:
    return [
        (one.at, one.at - undone.at)
        for one, _, undone in rollbacks(project, rules)
        if undone and one.at > undone.at
    ]


def went_out(project: Project, rules: dict[str, Any]) -> list[tuple[Mr, int]]:
    """Merge requests that went to production, with the instant of the first deployment that includes them."""
    first = [(mr, deployment_of(project, mr, rules)) for mr in project.mrs]
    return [(mr, one.at) for mr, one in first if one is not None]


def incidents(project: Project, rules: dict[str, Any]) -> list[Issue]:
    pattern = rules["incidents"]["label"]
    return [
        one
        for one in counted(project)
        if one.kind == "incident" or any(re.search(pattern, label) for label in one.labels)
    ]


def failures(project: Project, rules: dict[str, Any]) -> list[tuple[Deployed, bool, int | None]]:
    """Every deployment that is no rollback, whether it failed, and when that was over.

    It failed if it was rolled back, or if an incident was opened before the next deployment and soon enough.
    """
    every = sorted(rollbacks(project, rules), key=lambda each: each[0].at)
    within = rules["incidents"]["within_hours"] * HOUR
    found: list[tuple[Deployed, bool, int | None]] = []
    for nth, (one, is_rollback, _) in enumerate(every):
        if is_rollback:
            continue
        undone_at = [other.at for other, _, undone in every if undone is one]
        until = min([one.at + within, *(other.at for other, _, _ in every[nth + 1 :])])
        opened = [issue for issue in incidents(project, rules) if one.at <= issue.created < until]
        closed = [issue.closed for issue in opened]
        if undone_at:
            found.append((one, True, min(undone_at)))
        elif opened:
            found.append((one, True, None if None in closed else max(at for at in closed if at is not None)))
        else:
            found.append((one, False, None))
    return found


def deployment_of(project: Project, mr: Mr, rules: dict[str, Any]) -> Deployed | None:
    """The earliest deployment, at or after the merge, that includes it."""
    at, chain = positions(project), mainline(project)
    place = at.get(landing(mr) or "")
    if mr.merged is None or mr.target_branch != "main" or place is None:
        return None

    def stands(one: Deployed) -> int:
        beside = [at[commit.sha] for commit in chain if commit.committed <= one.created]
        return at[one.sha] if one.sha in at else max(beside, default=0)

    after = [one for one in deployments(project, rules) if one.at >= mr.merged and place <= stands(one)]
    return min(after, key=lambda one: one.at, default=None)


def lead_times(history: History) -> dict[int, Points]:
    """By the project that deployed: one for every issue that has been delivered."""
    delivered: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for project in history.projects:
        rules = rules_of(history, project)
        for mr in project.mrs:
            went = deployment_of(project, mr, rules) if mr.closes else None
            for issue in mr.closes if went else []:
                assert went is not None
                delivered.setdefault(issue, []).append((went.at, project.project_id))
    found: dict[int, Points] = {}
    for project in history.projects:
        for issue in project.issues:
            went_out = delivered.get((project.project_id, issue.issue_id))
            if went_out and issue.kind in ("issue", "incident") and not issue.moved:
                at, where = min(went_out)
                if at > issue.created:
                    found.setdefault(where, []).append((at, at - issue.created))
    return found

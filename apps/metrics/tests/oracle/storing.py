"""Histories as raw rows, as the collector would have written them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from random import Random
from typing import Any

from django.db import models

from apps.collector import models as raw
from apps.metrics.tests.oracle.records import History, Mr, Project
from apps.orgmap.import_org import import_org
from apps.orgmap.org_file import OrgFile

LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
FETCHED = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def instant(at: int | None) -> dt.datetime | None:
    return None if at is None else EPOCH + dt.timedelta(milliseconds=at)


def tell_org(histories: list[History]) -> None:
    """Every history is a business line of its own, with its own teams and rules."""
    rules: dict[str, dict[str, Any]] = defaultdict(dict)
    lines = []
    for history in histories:
        for level, named in history.rules.items():
            rules[level] |= named
        homes = {one.team: one.path.rsplit("/", 1)[0] for one in history.projects}
        teams = [{"name": team, "groups": [home]} for team, home in homes.items()]
        line = history.projects[0]
        lines.append({"name": line.line, "groups": [line.path.rsplit("/", 2)[0]], "teams": teams})
    content = {
        "org": "Toman",
        "business_lines": lines,
        "root_groups": ["toman"],
        "bots": sorted(histories[0].bot_names),
        "rules": dict(rules),
    }
    import_org(OrgFile.model_validate(content), now=LONG_AGO, by="test", reason="")


def rows_of(histories: list[History]) -> list[models.Model]:
    """All raw rows of histories; people and projects first."""
    people = histories[0].people.values()
    found: list[models.Model] = [
        raw.User(
            user_id=one.user_id, username=one.username, name=one.name, is_bot=one.flagged, fetched_at=FETCHED
        )
        for one in people
    ]
    for history in histories:
        for project in history.projects:
            found += project_rows(project)
    return found


def write(rows: list[models.Model]) -> None:
    """Insert rows, kind by kind."""
    kinds: dict[type[models.Model], list[models.Model]] = defaultdict(list)
    for row in rows:
        kinds[type(row)].append(row)
    for kind, together in kinds.items():
        kind._default_manager.bulk_create(together, batch_size=5000)


def parts(rows: list[models.Model], *, seed: int) -> tuple[list[models.Model], list[models.Model]]:
    """What came first, with all projects and people, and what came later; in no order."""
    random = Random(seed)
    known = (raw.User, raw.Project)
    first = [row for row in rows if isinstance(row, known)]
    later: list[models.Model] = []
    rest = [row for row in rows if not isinstance(row, known)]
    random.shuffle(rest)
    for row in rest:
        (first if random.random() < 0.6 else later).append(row)
    return first, later


def project_rows(project: Project) -> list[models.Model]:
    own: dict[str, Any] = {"project_id": project.project_id, "fetched_at": FETCHED}
    found: list[models.Model] = [
        raw.Project(
            path_with_namespace=project.path,
            default_branch="main",
            namespace_kind="group",
            web_url=f"https://gitlab.example.org/{project.path}",
            **own,
        ),
        raw.Branch(branch="main", head_sha=project.head, protected_flag=True, is_default=True, **own),
        raw.Branch(branch="feature", protected_flag=False, is_default=False, **own),
    ]
    for nth, (name, tier) in enumerate(project.tiers.items()):
        number = project.project_id * 10 + nth
        found.append(
            raw.RawEnvironment(environment_id=number, name=name, tier=tier, state="available", **own)
        )
    found += code_rows(project, own) + ci_rows(project, own) + issue_rows(project, own)
    for mr in project.mrs:
        found += mr_rows(mr, own)
    found += [
        raw.IngestionState(level="project", level_id=project.project_id, entity=entity, unavailable=why)
        for entity, why in project.refused.items()
    ]
    return found


def code_rows(project: Project, own: dict[str, Any]) -> list[models.Model]:
    found: list[models.Model] = [
        raw.RawCommit(
            commit_id=one.sha,
            parent_ids=one.parents,
            committed_at=instant(one.committed),
            authored_at=instant(one.committed),
            author_user_id=one.author,
            author_name=one.author_name,
            is_signed=one.signed,
            reverts_sha=one.reverts_sha,
            reverts_mr_iid=one.reverts_mr,
            **own,
        )
        for one in project.commits
    ]
    found += [
        raw.RawPushEvent(
            event_id=one.event_id,
            ref=one.branch,
            ref_type="branch",
            action=one.action,
            commit_from=one.old,
            commit_to=one.new,
            created_at=instant(one.at),
            **own,
        )
        for one in project.pushes
    ]
    for tag in project.tags:
        found.append(
            raw.RawTag(tag_name=tag.name, commit_id=tag.sha, committed_at=instant(tag.committed), **own)
        )
        if tag.released is not None:
            found.append(raw.RawRelease(tag_name=tag.name, released_at=instant(tag.released), **own))
    return found


def ci_rows(project: Project, own: dict[str, Any]) -> list[models.Model]:
    found: list[models.Model] = []
    for one in project.pipelines:
        found.append(
            raw.RawPipeline(
                pipeline_id=one.pipeline_id,
                iid=one.pipeline_id,
                sha=one.sha,
                ref=one.ref,
                source=one.source,
                status=one.status,
                created_at=instant(one.created),
                updated_at=instant(one.updated),
                finished_at=instant(one.finished_at),
                duration_sec=one.duration,
                deleted_at=LONG_AGO if one.is_lost else None,
                **own,
            )
        )
        found += [
            raw.RawJob(
                job_id=job.job_id,
                pipeline_id=one.pipeline_id,
                name=job.name,
                stage=job.stage,
                status=job.status,
                sha=one.sha,
                started_at=instant(job.started),
                finished_at=instant(job.finished),
                needs=job.needs,
                scheduling_type="stage" if job.needs is None else "dag",
                retried_flag=job.retried,
                **own,
            )
            for job in one.jobs
        ]
    found += [
        raw.RawDeployment(
            deployment_id=one.deployment_id,
            status=one.status,
            environment=one.environment,
            sha=one.sha,
            ref="main",
            pipeline_id=one.pipeline,
            created_at=instant(one.created),
            updated_at=instant(one.updated),
            finished_at=instant(one.finished_at),
            **own,
        )
        for one in project.records
    ]
    return found


def issue_rows(project: Project, own: dict[str, Any]) -> list[models.Model]:
    found: list[models.Model] = []
    for one in project.issues:
        found.append(
            raw.RawIssue(
                issue_id=one.issue_id,
                iid=one.issue_id,
                state="opened" if one.closed is None else "closed",
                labels=one.labels,
                issue_type=one.kind,
                moved_to_id=1 if one.moved else None,
                created_at=instant(one.created),
                updated_at=instant(max([one.created, *(at for at, _ in one.turns)])),
                closed_at=instant(one.closed),
                deleted_at=LONG_AGO if one.is_lost else None,
                **own,
            )
        )
        found += [
            raw.RawIssueEvent(
                issue_id=one.issue_id, event_key=f"state:{nth}", state=state, at=instant(at), **own
            )
            for nth, (at, state) in enumerate(one.turns)
        ]
    return found


def mr_rows(mr: Mr, own: dict[str, Any]) -> list[models.Model]:
    ended = mr.merged or mr.closed
    updated = instant(max(mr.created, ended or 0, *(at for at, _ in mr.turns), 0))
    found: list[models.Model] = [
        raw.RawMergeRequest(
            mr_id=mr.mr_id,
            iid=mr.mr_id,
            author_user_id=mr.author,
            source_branch=mr.source_branch,
            source_project_id=mr.source_project,
            target_branch=mr.target_branch,
            state="merged" if mr.merged else "closed" if mr.closed else "opened",
            sha=mr.sha,
            merge_commit_sha=mr.merge_commit,
            squash_commit_sha=mr.squash_commit,
            created_at=instant(mr.created),
            updated_at=updated,
            merged_at=instant(mr.merged),
            closed_at=instant(mr.closed),
            gitlab_approvals_required=mr.required,
            detail_at=updated,
            deleted_at=LONG_AGO if mr.is_lost else None,
            versions_at=updated,
            **own,
        )
    ]
    found += [
        raw.RawMergeRequestCommit(mr_id=mr.mr_id, commit_id=sha, authored_at=instant(at), **own)
        for sha, at in mr.commits
    ]
    found += [
        raw.RawMergeRequestVersion(
            version_id=mr.mr_id * 10 + nth,
            mr_id=mr.mr_id,
            head_sha=f"{mr.mr_id}-{nth}",
            created_at=instant(at),
            rewrites=rewrites,
            **own,
        )
        for nth, (at, rewrites) in enumerate(mr.versions)
    ]
    found += [
        raw.RawMergeRequestIssue(mr_id=mr.mr_id, issue_project=str(project), issue_iid=iid, **own)
        for project, iid in mr.closes
    ]
    return found + event_rows(mr, own)


def event_rows(mr: Mr, own: dict[str, Any]) -> list[models.Model]:
    told = [(at, "note", user) for at, user in mr.notes]
    told += [(at, "approved" if given else "unapproved", user) for at, user, given in mr.approvals]
    told += [(at, turn, mr.author) for at, turn in mr.turns]
    return [
        raw.RawMergeRequestEvent(
            mr_id=mr.mr_id, event_key=f"note:{nth}", kind=kind, at=instant(at), actor_user_id=user, **own
        )
        for nth, (at, kind, user) in enumerate(told)
    ]

"""Raw rows as a story tells them, with sane defaults. Times are local unless they end in Z."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

from apps.collector.models import (
    Branch,
    Project,
    RawBranchHead,
    RawCommit,
    RawDeployment,
    RawEnvironment,
    RawIssue,
    RawIssueEvent,
    RawJob,
    RawMergeRequest,
    RawMergeRequestCommit,
    RawMergeRequestEvent,
    RawMergeRequestIssue,
    RawMergeRequestVersion,
    RawPipeline,
    RawPushEvent,
    RawRelease,
    RawTag,
    User,
)
from apps.orgmap.import_org import import_org
from apps.orgmap.org_file import OrgFile
from tem import clock

AUTHOR, REVIEWER, SECOND, BOT = 1, 2, 3, 9
LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
FETCHED = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
_ids = count(1)


def moment(text: str | dt.datetime | None) -> dt.datetime | None:
    """`2025-09-04 10:00` on the clock of Amsterdam, `2025-09-04T08:00Z` in UTC."""
    if text is None or isinstance(text, dt.datetime):
        return text
    found = dt.datetime.fromisoformat(text)
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=clock.zone()).astimezone(dt.UTC)


def house(*, rules: dict[str, Any] | None = None, paths: dict[int, str] | None = None) -> None:
    """An org with two lines and three teams, its people, and one project (or those of `paths`)."""
    content = {
        "org": "Toman",
        "business_lines": [
            {
                "name": "Exchange",
                "groups": ["toman/exchange"],
                "teams": [
                    {"name": "Trading", "groups": ["toman/exchange/trading"]},
                    {"name": "Custody", "groups": ["toman/exchange/custody"]},
                ],
            },
            {
                "name": "Core/Platform",
                "groups": ["toman/core"],
                "teams": [{"name": "SRE", "groups": ["toman/core/sre"]}],
            },
        ],
        "root_groups": ["toman/exchange", "toman/core"],
        "bots": ["renovate-bot", "Merge Bot"],
        "rules": rules or {},
    }
    import_org(OrgFile.model_validate(content), now=LONG_AGO, by="test", reason="")
    for user, name, is_bot in (
        (AUTHOR, "ann", False),
        (REVIEWER, "bob", False),
        (SECOND, "eve", None),
        (BOT, "renovate-bot", None),
    ):
        User.objects.create(user_id=user, username=name, name=name, is_bot=is_bot, fetched_at=FETCHED)
    for project_id, path in (paths or {1: "toman/exchange/trading/engine"}).items():
        project(project_id, path)


def project(project_id: int, path: str) -> None:
    Project.objects.create(
        project_id=project_id,
        path_with_namespace=path,
        default_branch="main",
        namespace_kind="group",
        web_url=f"https://gitlab.example.org/{path}",
        fetched_at=FETCHED,
    )


def mr(
    *,
    created: str,
    merged: str | None = None,
    closed: str | None = None,
    approvals: str = "0 of 0",
    commits: list[str] | None = None,
    reviews: list[tuple[int, str]] | None = None,
    events: list[tuple[str, str]] | None = None,
    project: int = 1,
    mr_id: int | None = None,
    target: str = "main",
    shas: list[str] | None = None,
    **columns: Any,
) -> int:
    """A merge request. `approvals: 1 of 2` counts approvals by others just before the merge."""
    number = mr_id or next(_ids)
    given, _, required = approvals.partition(" of ")
    ended = moment(merged) or moment(closed)
    RawMergeRequest.objects.create(
        mr_id=number,
        project_id=project,
        iid=number,
        author_user_id=AUTHOR,
        target_branch=target,
        **{"source_project_id": project, "source_branch": f"work-{number}", **columns},
        state="merged" if merged else "closed" if closed else "opened",
        created_at=moment(created),
        updated_at=ended or moment(created),
        merged_at=moment(merged),
        closed_at=moment(closed),
        gitlab_approvals_required=None if required == "unknown" else int(required),
        fetched_at=FETCHED,
    )
    for nth, at in enumerate(commits or []):
        sha = shas[nth] if shas else f"{number}-{nth}"
        RawMergeRequestCommit.objects.create(
            project_id=project, mr_id=number, commit_id=sha, authored_at=moment(at), fetched_at=FETCHED
        )
    for nth in range(int(given)):
        before = (ended or moment(created)) - dt.timedelta(minutes=30 - nth)  # type: ignore[operator]
        mr_event(number, "approved", before, actor=REVIEWER + nth, project=project)
    for actor, at in reviews or []:
        mr_event(number, "note", at, actor=actor, project=project)
    for kind, at in events or []:
        mr_event(number, kind, at, actor=AUTHOR, project=project)
    return number


def mr_event(mr_id: int, kind: str, at: Any, *, actor: int, project: int = 1) -> None:
    RawMergeRequestEvent.objects.create(
        project_id=project,
        mr_id=mr_id,
        event_key=f"note:{next(_ids)}",
        kind=kind,
        at=moment(at),
        actor_user_id=actor,
        fetched_at=FETCHED,
    )


def version(
    mr_id: int, *, at: str, head: str, rewrites: bool | None = False, known: bool = True, project: int = 1
) -> None:
    """A push to a merge request. `known: false`: GitLab could not tell whether it rewrote the one before."""
    RawMergeRequestVersion.objects.create(
        version_id=next(_ids),
        project_id=project,
        mr_id=mr_id,
        head_sha=head,
        created_at=moment(at),
        rewrites=rewrites if known else None,
        compared_at=LONG_AGO,
        fetched_at=FETCHED,
    )
    RawMergeRequest.objects.filter(mr_id=mr_id).update(versions_at=LONG_AGO)


def closes(mr_id: int, *, issue: int, of: str = "1", project: int = 1) -> None:
    """The merge request closes the issue of this number; `of`: the number or the path of its project."""
    RawMergeRequestIssue.objects.create(
        project_id=project, mr_id=mr_id, issue_project=of, issue_iid=issue, fetched_at=FETCHED
    )


def approval(
    mr_id: int, *, actor: int, at: str | None = None, kind: str = "approved", project: int = 1
) -> None:
    mr_event(mr_id, kind, at, actor=actor, project=project)


def pipeline(
    *,
    created: str,
    status: str = "success",
    ref: str = "main",
    finished: str | None = None,
    sha: str | None = None,
    source: str = "push",
    id: int | None = None,  # noqa: A002  # the word of the stories
    duration: int | None = None,
    jobs: list[dict[str, Any]] | None = None,
    project: int = 1,
) -> int:
    number = id or next(_ids)
    sha = sha or f"sha-{number}"
    RawPipeline.objects.create(
        pipeline_id=number,
        project_id=project,
        iid=number,
        sha=sha,
        ref=ref,
        source=source,
        status=status,
        created_at=moment(created),
        updated_at=moment(finished or created),
        finished_at=moment(finished),
        duration_sec=duration,
        fetched_at=FETCHED,
    )
    for told in jobs or []:
        job(pipeline=number, sha=sha, project=project, **told)
    return number


def job(
    *,
    pipeline: int,
    name: str = "test",
    stage: str = "test",
    status: str = "success",
    started: str | None = None,
    finished: str | None = None,
    sha: str = "sha",
    needs: list[str] | None = None,
    project: int = 1,
) -> None:
    RawJob.objects.create(
        job_id=next(_ids),
        project_id=project,
        pipeline_id=pipeline,
        name=name,
        stage=stage,
        status=status,
        sha=sha,
        started_at=moment(started),
        finished_at=moment(finished),
        needs=needs,
        scheduling_type="stage" if needs is None else "dag",
        fetched_at=FETCHED,
    )


def environment(*, name: str, tier: str | None = None, project: int = 1) -> None:
    RawEnvironment.objects.create(
        environment_id=next(_ids),
        project_id=project,
        name=name,
        tier=tier,
        state="available",
        fetched_at=FETCHED,
    )


def deployment(
    *,
    finished: str,
    environment: str = "production",
    pipeline: int | None = None,
    status: str = "success",
    sha: str = "sha",
    project: int = 1,
) -> None:
    RawDeployment.objects.create(
        deployment_id=next(_ids),
        project_id=project,
        status=status,
        environment=environment,
        sha=sha,
        ref="main",
        pipeline_id=pipeline,
        created_at=moment(finished),
        updated_at=moment(finished),
        finished_at=moment(finished),
        fetched_at=FETCHED,
    )


def tag(
    *, name: str, committed: str, released: str | None = None, sha: str | None = None, project: int = 1
) -> None:
    RawTag.objects.create(
        project_id=project,
        tag_name=name,
        commit_id=sha or f"commit-of-{name}",
        committed_at=moment(committed),
        fetched_at=FETCHED,
    )
    if released:
        RawRelease.objects.create(
            project_id=project, tag_name=name, released_at=moment(released), fetched_at=FETCHED
        )


def commit(
    *,
    sha: str,
    committed: str,
    parents: list[str] | None = None,
    author: int | None = AUTHOR,
    author_name: str = "Ann",
    project: int = 1,
    **columns: Any,
) -> None:
    RawCommit.objects.create(
        project_id=project,
        commit_id=sha,
        committed_at=moment(committed),
        authored_at=moment(committed),
        parent_ids=parents or [],
        author_user_id=author,
        author_name=author_name,
        fetched_at=FETCHED,
        **columns,
    )


def branch(*, name: str = "main", head: str | None = None, protected: bool = True, project: int = 1) -> None:
    Branch.objects.create(
        project_id=project,
        branch=name,
        head_sha=head,
        protected_flag=protected,
        is_default=name == "main",
        fetched_at=FETCHED,
    )


def push(*, at: str, old: str, new: str, ref: str = "main", action: str = "pushed", project: int = 1) -> None:
    RawPushEvent.objects.create(
        event_id=next(_ids),
        project_id=project,
        ref=ref,
        ref_type="branch",
        action=action,
        commit_from=old,
        commit_to=new,
        created_at=moment(at),
        fetched_at=FETCHED,
    )


def head(*, seen: str, sha: str, name: str = "main", project: int = 1) -> None:
    RawBranchHead.objects.create(
        project_id=project, branch=name, head_sha=sha, observed_at=moment(seen), fetched_at=FETCHED
    )


def issue(
    *,
    created: str,
    closed: str | None = None,
    labels: list[str] | None = None,
    issue_type: str = "issue",
    events: list[tuple[str, str]] | None = None,
    project: int = 1,
    iid: int | None = None,
    **columns: Any,
) -> None:
    number = iid or next(_ids)
    RawIssue.objects.create(
        issue_id=number,
        project_id=project,
        iid=number,
        state="closed" if closed else "opened",
        labels=labels or [],
        issue_type=issue_type,
        created_at=moment(created),
        updated_at=moment(closed or created),
        closed_at=moment(closed),
        fetched_at=FETCHED,
        **columns,
    )
    for state, at in events or []:
        RawIssueEvent.objects.create(
            project_id=project,
            issue_id=number,
            event_key=f"state:{next(_ids)}",
            state=state,
            at=moment(at),
            fetched_at=FETCHED,
        )

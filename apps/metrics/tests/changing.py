"""Raw rows that change as GitLab's do, at random but seeded: what an increment may bring to a project."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from random import Random

from apps.collector.models import (
    Branch,
    RawCommit,
    RawIssue,
    RawJob,
    RawMergeRequest,
    RawPipeline,
    RawRelease,
    RawTag,
)
from apps.metrics.tests import builders
from apps.orgmap.import_org import import_org
from apps.orgmap.org_file import OrgFile

START = dt.datetime(2025, 10, 20, 22, tzinfo=dt.UTC)
Change = Callable[[Random, int], object]


def instant(dice: Random) -> str:
    return (START + dt.timedelta(minutes=30 * dice.randrange(48 * 14))).isoformat()


def after(dice: Random, at: dt.datetime) -> dt.datetime:
    return at + dt.timedelta(minutes=dice.choice([0, 1, 600, 3000]))


def new_pipeline(dice: Random, project: int) -> None:
    """On one of a few SHAs, so that pipelines share them; forks have them too."""
    at, is_dag = instant(dice), dice.random() < 0.4
    names = dice.sample(["build", "test", "deploy", "rollback"], k=dice.randrange(4))
    builders.pipeline(
        project=project, created=at, finished=after(dice, dt.datetime.fromisoformat(at)).isoformat(),
        sha=f"c{dice.randrange(8)}", ref=dice.choice(["main", "main", "v1", "other"]),
        status=dice.choice(["success", "success", "failed", "running"]),
        source=dice.choice(["push", "push", "schedule", "parent_pipeline", "merge_request_event"]),
        jobs=[
            {
                "name": name, "stage": dice.choice(["one", "two"]), "started": at,
                "finished": after(dice, dt.datetime.fromisoformat(at)).isoformat(),
                "status": dice.choice(["success", "failed", "canceled"]),
                "needs": dice.sample(["build", "test"], k=dice.randrange(3)) if is_dag else None,
            }
            for name in names
        ],
    )  # fmt: skip


def pipeline_moves_on(dice: Random, project: int) -> None:
    one = _any(dice, RawPipeline.objects.filter(project=project))
    if one:
        one.status, one.finished_at = dice.choice(["success", "failed"]), after(dice, one.created_at)
        one.deleted_at = dice.choice([None, None, None, one.created_at])
        one.save()


def job_again(dice: Random, project: int) -> None:
    """A retry: a further attempt of a job in its pipeline."""
    one = _any(dice, RawJob.objects.filter(project=project))
    if one and one.started_at:
        one.job_id = next(builders._ids)
        one.status, one.finished_at = dice.choice(["success", "failed"]), after(dice, one.started_at)
        one.save(force_insert=True)


def commits(dice: Random, project: int) -> None:
    """The branch grows by a commit or a merge, or is pushed back to where it was."""
    known = list(RawCommit.objects.filter(project=project).values_list("commit_id", flat=True))
    branch = Branch.objects.filter(project=project, branch="main").first()
    if branch is None:
        builders.branch(project=project, head="c0")
        builders.commit(project=project, sha="c0", committed=instant(dice))
        return
    if len(known) > 2 and dice.random() < 0.3:
        head = dice.choice(known)
    else:
        head = f"c{len(known)}"
        parents = [branch.head_sha, *dice.sample(known, k=dice.randrange(2))]
        builders.commit(
            project=project, sha=head, committed=instant(dice), parents=list(dict.fromkeys(parents)),
            is_signed=dice.choice([True, False, None]),
            reverts_sha=dice.choice([None, dice.choice(known)]),
        )  # fmt: skip
    builders.push(project=project, at=instant(dice), old=branch.head_sha, new=head)
    Branch.objects.filter(pk=branch.pk).update(head_sha=head)


def new_mr(dice: Random, project: int) -> None:
    at = instant(dice)
    number = builders.mr(
        project=project, created=at, commits=[instant(dice)], shas=[f"c{dice.randrange(8)}"],
        sha=f"c{dice.randrange(8)}", approvals=dice.choice(["0 of 0", "1 of 1", "0 of 1"]),
    )  # fmt: skip
    builders.mr_event(number, "note", instant(dice), actor=dice.choice([1, 2, 9]), project=project)


def mr_moves_on(dice: Random, project: int) -> None:
    one = _any(dice, RawMergeRequest.objects.filter(project=project))
    if one:
        at = after(dice, one.created_at)
        one.state = dice.choice(["merged", "closed", "opened"])
        one.merged_at, one.closed_at = (at if one.state == state else None for state in ("merged", "closed"))
        one.updated_at, one.deleted_at = at, dice.choice([None, None, None, at])
        one.save()
        builders.mr_event(
            one.pk, dice.choice(["approved", "closed", "reopened"]), at, actor=2, project=project
        )


def tags(dice: Random, project: int) -> None:
    name = dice.choice(["v1", "1.2.3", "v2.0.0", "junk"])
    RawRelease.objects.filter(project=project, tag_name=name).delete()
    if not RawTag.objects.filter(project=project, tag_name=name).delete()[0]:
        builders.tag(
            project=project, name=name, committed=instant(dice), sha=f"c{dice.randrange(8)}",
            released=dice.choice([None, instant(dice)]),
        )  # fmt: skip


def deployed(dice: Random, project: int) -> None:
    run = _any(dice, RawPipeline.objects.filter(project=project))
    builders.deployment(
        project=project, finished=instant(dice),
        environment=dice.choice(["production", "prod/eu", "staging"]),
        pipeline=run.pk if run and dice.random() < 0.8 else None, sha=f"c{dice.randrange(8)}",
    )  # fmt: skip


def issues(dice: Random, project: int) -> None:
    one = _any(dice, RawIssue.objects.filter(project=project))
    if one and dice.random() < 0.5:
        one.closed_at = after(dice, one.created_at)
        one.state, one.labels = "closed", dice.choice([["bug"], []])
        one.save()
    else:
        builders.issue(project=project, created=instant(dice), events=[("reopened", instant(dice))])


CHANGES: tuple[Change, ...] = (
    new_pipeline, new_pipeline, pipeline_moves_on, job_again, job_again, commits, commits, new_mr,
    mr_moves_on, tags, deployed, issues,
)  # fmt: skip


def change(dice: Random, project: int, *, times: int) -> None:
    """So many things happen in a project."""
    for _ in range(times):
        dice.choice(CHANGES)(dice, project)


def other_rules(dice: Random, *, paths: Iterable[str], now: dt.datetime) -> None:
    """Somebody edits the rules of some projects."""
    rules = {
        path: {
            "production": {
                "infer": dice.choice(["best_evidence", "any", "all"]),
                "tag": dice.choice([".*", "^v"]),
            },
            "rollback": {
                "within_hours": dice.choice([1, 24, 500]),
                "pattern": dice.choice(["rollback", "test"]),
            },
            "approvals": {"minimum": dice.randrange(3)},
        }
        for path in paths
    }
    content = {
        "org": "Toman",
        "business_lines": [{"name": "Exchange", "groups": ["toman"], "teams": []}],
        "root_groups": ["toman"],
        "bots": dice.choice([[], ["bob"]]),
        "rules": {"repos": rules},
    }
    import_org(OrgFile.model_validate(content), now=now, by="test", reason="")


def _any(dice: Random, rows: object) -> object | None:
    found = list(rows.order_by("pk"))  # type: ignore[attr-defined]
    return dice.choice(found) if found else None

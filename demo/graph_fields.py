"""What each GraphQL field says: plain functions of (entity, context), without arguments or with keywords."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from demo.connections import Connection, connect
from demo.entities import Commit, Job, MergeRequest, Pipeline, Project, User
from demo.job_times import seen
from demo.times import SECOND, iso_seconds

Resolver = Callable[..., Any]
FIELDS: dict[str, dict[str, Resolver]] = {}


def plain(type_: str, **fields: str | Resolver) -> None:
    """Fields of a type: an attribute's name, or a function of the entity and the context."""
    known = FIELDS.setdefault(type_, {})
    for name, how in fields.items():
        known[name] = _attribute(how) if isinstance(how, str) else how


def _attribute(name: str) -> Resolver:
    get = attrgetter(name)
    return lambda entity, context: get(entity)


def _time(name: str) -> Resolver:
    get = attrgetter(name)
    return lambda entity, context: iso_seconds(get(entity))


def _gid(kind: str, name: str = "id") -> Resolver:
    get, start = attrgetter(name), f"gid://gitlab/{kind}/"
    return lambda entity, context: f"{start}{get(entity)}"


def _upper(name: str) -> Resolver:
    get = attrgetter(name)
    return lambda entity, context: get(entity).upper()


def _text(name: str) -> Resolver:
    get = attrgetter(name)
    return lambda entity, context: str(get(entity))


_PERSON: dict[str, str | Resolver] = {
    "id": _gid("User"), "username": "username", "name": "name", "state": "state", "bot": "bot",
    "webUrl": lambda user, context: f"/{user.username}", "publicEmail": lambda user, context: None,
}  # fmt: skip
for _type in ("UserCore", "MergeRequestAuthor"):
    plain(_type, **_PERSON)
plain(
    "MergeRequestReviewer",
    **{
        name: (lambda pair, context, how=how: how(pair[1], context))
        if callable(how)
        else (lambda pair, context, name=how: getattr(pair[1], name))
        for name, how in _PERSON.items()
    },
    mergeRequestInteraction=lambda pair, context: pair,
)


def _approved(pair: tuple[MergeRequest, User], context: Any) -> bool:
    return any(user is pair[1] for user, _ in pair[0].approvals)


def _reviewed(pair: tuple[MergeRequest, User], context: Any) -> bool:
    return _approved(pair, context) or any(
        note.author is pair[1] and not note.action for note in pair[0].notes
    )


plain(
    "UserMergeRequestInteraction",
    approved=_approved,
    reviewed=_reviewed,
    canMerge=lambda pair, context: True,
    reviewState=lambda pair, context: "REVIEWED" if _reviewed(pair, context) else "UNREVIEWED",
)
plain("QueryComplexity", limit=lambda source, context: 250, score=lambda source, context: context.score)
plain(
    "Metadata",
    version=lambda source, context: "17.8.1-ee",
    revision=lambda source, context: "3b2d1c0f9aa",
    enterprise=lambda source, context: True,
)
plain("PageInfo", hasNextPage="more", hasPreviousPage="before", startCursor="first", endCursor="last")
plain("Group", id=_gid("Group"), fullPath="full_path", name="name")
plain(
    "Project",
    id=_gid("Project"), fullPath="path", name="name", archived="archived", visibility="visibility",
    lastActivityAt=_time("activity"), createdAt=_time("created"), repository=lambda project, context: project,
    issuesEnabled="issues_on", mergeRequestsEnabled="merge_requests_on", jobsEnabled="builds_on",
)  # fmt: skip
plain("Repository", rootRef="default_branch", empty="empty", exists=lambda project, context: True)
plain(
    "MergeRequest",
    id=_gid("MergeRequest"), iid=_text("iid"), state="state", draft="draft", title="title",
    description="description",
    createdAt=_time("created"), updatedAt=_time("updated"), mergedAt=_time("merged"),
    preparedAt=_time("created"),
    sourceBranch="source_branch", targetBranch="target_branch", sourceProjectId="source_project_id",
    targetProjectId="project.id", projectId="project.id", commitCount=lambda made, context: len(made.commits),
    userNotesCount=lambda made, context: sum(note.action is None for note in made.notes),
    mergeCommitSha="merge_commit_sha", squashOnMerge="squash", diffHeadSha="sha", author="author",
    mergeUser="merge_user", approvalsRequired="required",
    approvalsLeft=lambda made, context: max(0, made.required - len(made.approvals)),
    approved=lambda made, context: len(made.approvals) >= made.required,
    diffStatsSummary=lambda made, context: made if made.versions else None,
    headPipeline=lambda made, context: made.pipelines[-1] if made.pipelines else None,
    webUrl=lambda made, context: f"/{made.project.path}/-/merge_requests/{made.iid}",
)  # fmt: skip
plain(
    "DiffStatsSummary", additions="additions", deletions="deletions", fileCount="files",
    changes=lambda made, context: made.additions + made.deletions,
)  # fmt: skip
plain(
    "Note",
    id=_gid("Note"), createdAt=_time("at"), updatedAt=_time("at"), internal="internal", body="body",
    system=lambda note, context: note.action is not None, resolvable=lambda note,
    context: note.type is not None,
    resolved=lambda note, context: False, author=lambda note,
    context: note.author or context.world.people.ghost,
    systemNoteMetadata=lambda note, context: note if note.action else None, discussion=lambda note,
    context: note,
)  # fmt: skip
plain("Discussion", id=_gid("Discussion", "thread"), createdAt=_time("at"))
plain("SystemNoteMetadata", id=_gid("SystemNoteMetadata"), action="action")
plain(
    "Commit",
    id=_gid("Commit", "sha"), sha="sha", shortId=lambda commit, context: commit.sha[:8], message="message",
    title=lambda commit, context: commit.message.partition("\n")[0], authoredDate=_time("authored"),
    authorEmail="author.email", authorName="author.name",
    author=lambda commit, context: commit.author if commit.web_author else None,
    signature=lambda commit, context: commit if commit.signature else None,
    webUrl=lambda commit, context: f"/{commit.project.path}/-/commit/{commit.sha}",
)  # fmt: skip
for _type in ("CommitSignature", "GpgSignature", "SshSignature", "X509Signature"):
    plain(_type, verificationStatus=lambda commit, context: "VERIFIED")
plain(
    "Label",
    id=lambda label, context: f"gid://gitlab/ProjectLabel/{900 + len(label)}",
    title=lambda label, context: label,
    color=lambda label, context: "#428BCA",
)


def _ref_path(pipeline: Pipeline, context: Any) -> str:
    return (
        pipeline.ref
        if pipeline.ref.startswith("refs/")
        else f"refs/{'tags' if pipeline.tag else 'heads'}/{pipeline.ref}"
    )


def _waited(pipeline: Pipeline, context: Any) -> float | None:
    return (pipeline.started - pipeline.created) / SECOND if pipeline.started else None


plain(
    "Pipeline",
    id=_gid("Ci::Pipeline"), iid=_text("iid"), status=_upper("status"), ref="ref", refPath=_ref_path,
    createdAt=_time("created"), updatedAt=_time("updated"), startedAt=_time("started"),
    finishedAt=_time("finished"),
    committedAt=lambda pipeline, context: None, duration="duration", queuedDuration=_waited, user="user",
    mergeRequestEventType=lambda pipeline,
    context: "DETACHED" if pipeline.source == "merge_request_event" else None,
    configSource=lambda pipeline, context: "REPOSITORY_SOURCE",
    complete=lambda pipeline, context: pipeline.finished is not None,
    active=lambda pipeline, context: pipeline.status in ("created", "running"),
)  # fmt: skip


def _length(job: Job, context: Any) -> int | None:
    _, started, finished = seen(job, context.now)
    return (finished - started) // SECOND if started and finished else None


def _queued(job: Job, context: Any) -> float | None:
    return job.queued / SECOND if job.queued and seen(job, context.now)[1] else None


plain(
    "CiJob",
    id=lambda job, context: f"gid://gitlab/Ci::{'Bridge' if job.spec.bridge else 'Build'}/{job.id}",
    name="spec.name", kind=lambda job, context: "BRIDGE" if job.spec.bridge else "BUILD",
    status=lambda job, context: seen(job, context.now)[0].upper(), retried="retried",
    allowFailure="spec.allow_failure", manualJob="spec.manual", createdAt=_time("created"),
    queuedAt=_time("created"), startedAt=lambda job, context: iso_seconds(seen(job, context.now)[1]),
    finishedAt=lambda job, context: iso_seconds(seen(job, context.now)[2]), duration=_length,
    queuedDuration=_queued,
    schedulingType=lambda job, context: "stage" if job.spec.needs is None else "dag", stage="spec",
    pipeline="pipeline", refName="pipeline.ref",
)  # fmt: skip
plain("CiStage", id=lambda spec, context: f"gid://gitlab/Ci::Stage/{len(spec.stage)}", name="stage")
plain(
    "CiBuildNeed",
    id=lambda name, context: f"gid://gitlab/Ci::BuildNeed/{len(name)}",
    name=lambda name, context: name,
)
plain(
    "Issue",
    id=_gid("Issue"), iid=_text("iid"), state="state", type=_upper("type"), createdAt=_time("created"),
    updatedAt=_time("updated"), closedAt=_time("closed"), dueDate=lambda issue, context: None,
    confidential="confidential", title="title", author="author", closedAsDuplicateOf=lambda issue,
    context: None,
    severity=lambda issue, context: "UNKNOWN",
    mergeRequestsCount=lambda issue,
    context: sum(issue.iid in made.closes for made in issue.project.merge_requests),
)  # fmt: skip
plain(
    "Environment",
    id=_gid("Environment"), name="name", tier=_upper("tier"), state=lambda environment, context: "available",
)  # fmt: skip
plain(
    "Deployment",
    id=_gid("Deployment"), iid=_text("iid"), status=_upper("status"), ref="ref", tag="tag", sha="sha",
    createdAt=_time("created"), updatedAt=_time("updated"), finishedAt=_time("finished"), job="job",
    triggerer="user",
)  # fmt: skip


def nested(get: Callable[[Any], list[Any]]) -> Resolver:
    """A connection over a list that the entity holds, in its order."""
    return lambda entity, context, **args: connect(get(entity), args, context=context)


def _needs(job: Job, context: Any, **args: Any) -> Connection:
    return connect(list(job.spec.needs or ()), args, context=context)


def _signature_type(commit: Commit, *_: Any) -> str:
    return {"GPG": "GpgSignature", "SSH": "SshSignature"}.get(commit.signature or "", "X509Signature")


def _sha(pipeline: Pipeline, context: Any, **args: Any) -> str:
    return pipeline.sha[:8] if args.get("format") == "SHORT" else pipeline.sha


signature_type = _signature_type
for _type, _connections in {
    "MergeRequest": {
        "notes": lambda made: made.notes, "commits": lambda made: made.commits[::-1],
        "approvedBy": lambda made: [user for user, _ in made.approvals], "labels": lambda made: made.labels,
        "reviewers": lambda made: [(made, user) for user in made.reviewers],
        "pipelines": lambda made: made.pipelines[::-1],
    },
    "Issue": {"labels": lambda issue: issue.labels},
    "Project": {"environments": lambda project: list(project.environments.values())},
}.items():  # fmt: skip
    for _name, _get in _connections.items():
        FIELDS[_type][_name] = nested(_get)
FIELDS["CiJob"]["needs"] = _needs
FIELDS["Pipeline"]["sha"] = _sha
FIELDS["MergeRequest"]["reference"] = lambda made, context, full=False: (
    f"{made.project.path}!{made.iid}" if full else f"!{made.iid}"
)


def visible(project: Project | None) -> Project | None:
    """Nothing is said about a project that hides."""
    return None if project is None or project.hidden else project

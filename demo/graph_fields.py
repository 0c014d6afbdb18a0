"""What each GraphQL field says of people, projects, merge requests, commits and issues."""

from __future__ import annotations

from typing import Any

from demo import REVISION, VERSION
from demo.closing import SITE
from demo.complexity import LIMIT
from demo.entities import Commit, MergeRequest, Note, Project, User
from demo.fielding import (
    Resolver,
    always,
    attribute,
    gid,
    itself,
    nested,
    plain,
    text,
    time,
    upper,
)
from demo.repository import number_of, resolve

_PERSON: dict[str, Resolver] = {
    "id": gid("User"), "username": attribute("username"), "name": attribute("name"),
    "state": attribute("state"), "bot": attribute("bot"), "publicEmail": always(None),
    "webUrl": lambda user, context: f"{context.url}/{user.username}",
}  # fmt: skip
for _type in ("UserCore", "MergeRequestAuthor"):
    plain(_type, **_PERSON)


def _of_reviewer(how: Resolver) -> Resolver:
    """A reviewer is a person who knows which merge request it is about."""
    return lambda pair, context: how(pair[1], context)


def _approved(pair: tuple[MergeRequest, User], context: Any) -> bool:
    return any(user is pair[1] for user, _ in pair[0].approvals)


def _reviewed(pair: tuple[MergeRequest, User], context: Any) -> bool:
    written = any(note.author is pair[1] and not note.action for note in pair[0].notes)
    return written or _approved(pair, context)


plain("MergeRequestReviewer", **{name: _of_reviewer(how) for name, how in _PERSON.items()})
plain("MergeRequestReviewer", mergeRequestInteraction=itself)
plain(
    "UserMergeRequestInteraction",
    approved=_approved, reviewed=_reviewed, canMerge=always(True),
    reviewState=lambda pair, context: "REVIEWED" if _reviewed(pair, context) else "UNREVIEWED",
)  # fmt: skip
plain("QueryComplexity", limit=always(LIMIT), score=lambda source, context: context.score)
plain("Metadata", version=always(VERSION), revision=always(REVISION), enterprise=always(True))
plain("PageInfo", hasNextPage="more", hasPreviousPage="before", startCursor="first", endCursor="last")
plain("Group", id=gid("Group"), fullPath="full_path", name="name")
plain(
    "Project",
    id=gid("Project"), fullPath="path", name="name", archived="archived", visibility="visibility",
    lastActivityAt=time("activity"), createdAt=time("created"), repository=itself,
    issuesEnabled="issues_on", mergeRequestsEnabled="merge_requests_on", jobsEnabled="builds_on",
    environments=nested(lambda project: list(project.environments.values())),
)  # fmt: skip


def _tree(project: Project, context: Any, ref: str | None = None, **path: Any) -> Commit | tuple[()] | None:
    """The tree at a ref, stood for by its commit: we keep no files. Empty where the ref is unknown."""
    sha = resolve(project, ref)
    return None if project.empty else project.commits[sha] if sha else ()


def _last_commit(commit: Commit | tuple[()], context: Any) -> Commit | None:
    """The commit that last touched the tree. As git simplifies history, a merge that changed nothing itself
    may be passed over for what it brought in: so it is here for one merge commit in four.
    """
    if not commit or len(commit.parents) < 2 or commit.sha[1] not in "048c":
        return commit or None
    return commit.project.commits.get(commit.parents[-1], commit)


plain("Repository", rootRef="default_branch", empty="empty", exists=always(True), tree=_tree)
plain("Tree", lastCommit=_last_commit)
plain(
    "Release",
    tagName="tag.name", name="tag.name", createdAt=time("created"), releasedAt=time("released"),
    author="author", commit="commit",
    upcomingRelease=lambda release, context: release.released > context.now,
)  # fmt: skip


def _reference(made: MergeRequest, context: Any, full: bool = False) -> str:
    return f"{made.project.path}!{made.iid}" if full else f"!{made.iid}"


plain(
    "MergeRequest",
    id=gid("MergeRequest"), iid=text("iid"), state="state", draft="draft", title="title",
    description=lambda made, context: made.description.replace(SITE, context.url),
    author="author", mergeUser="merge_user",
    createdAt=time("created"), updatedAt=time("updated"), mergedAt=time("merged"), preparedAt=time("created"),
    sourceBranch="source_branch", targetBranch="target_branch", sourceProjectId="source_project_id",
    targetProjectId="project.id", projectId="project.id", mergeCommitSha="merge_commit_sha",
    squashOnMerge="squash", diffHeadSha="sha", approvalsRequired="required", reference=_reference,
    commitCount=lambda made, _: len(made.commits),
    userNotesCount=lambda made, _: sum(note.action is None for note in made.notes),
    approvalsLeft=lambda made, _: max(0, made.required - len(made.approvals)),
    approved=lambda made, _: len(made.approvals) >= made.required,
    diffStatsSummary=lambda made, _: made if made.versions else None,
    headPipeline=lambda made, _: made.pipelines[-1] if made.pipelines else None,
    webUrl=lambda made, context: f"{context.url}/{made.project.path}/-/merge_requests/{made.iid}",
    notes=nested(lambda made: made.notes), commits=nested(lambda made: made.commits[::-1]),
    approvedBy=nested(lambda made: [user for user, _ in made.approvals]),
    labels=nested(lambda made: made.labels), pipelines=nested(lambda made: made.pipelines[::-1]),
    reviewers=nested(lambda made: [(made, user) for user in made.reviewers]),
)  # fmt: skip
plain(
    "DiffStatsSummary", additions="additions", deletions="deletions", fileCount="files",
    changes=lambda made, _: made.additions + made.deletions,
)  # fmt: skip


def _note_id(note: Note, context: Any) -> str:
    return f"gid://gitlab/{note.type or 'Note'}/{note.id}"


plain(
    "Note",
    id=_note_id, createdAt=time("at"), updatedAt=time("at"), internal="internal", body="body",
    resolved=always(False), discussion=itself,
    system=lambda note, _: note.action is not None, resolvable=lambda note, _: note.type is not None,
    author=lambda note, context: note.author or context.world.people.ghost,
    systemNoteMetadata=lambda note, _: note if note.action else None,
)  # fmt: skip
plain("Discussion", id=gid("Discussion", "thread"), createdAt=time("at"))
plain("SystemNoteMetadata", id=gid("SystemNoteMetadata"), action="action")
plain(
    "Commit",
    id=gid("Commit", "sha"), sha="sha", message="message", title="title", authoredDate=time("authored"),
    authorEmail="author.email", authorName="author.name", shortId=lambda commit, _: commit.sha[:8],
    author=lambda commit, _: commit.author if commit.web_author else None,
    signature=lambda commit, _: commit if commit.signature else None,
    webUrl=lambda commit, context: f"{context.url}/{commit.project.path}/-/commit/{commit.sha}",
)  # fmt: skip
for _type in ("CommitSignature", "GpgSignature", "SshSignature", "X509Signature"):
    plain(_type, verificationStatus=upper("verification"))


def signature_type(commit: Commit, *_: Any) -> str:
    """Which of the schema's kinds of signature a commit carries."""
    return {"GPG": "GpgSignature", "SSH": "SshSignature"}.get(commit.signature or "", "X509Signature")


plain(
    "Label",
    id=lambda label, _: f"gid://gitlab/ProjectLabel/{number_of(label)}", title=itself,
    color=always("#428BCA"),
)  # fmt: skip
plain(
    "Issue",
    id=gid("Issue"), projectId="project.id", iid=text("iid"), state="state", type=upper("type"),
    createdAt=time("created"), updatedAt=time("updated"), closedAt=time("closed"), dueDate=always(None),
    confidential="confidential", title="title", author="author", closedAsDuplicateOf=always(None),
    severity=always("UNKNOWN"),
    labels=nested(lambda issue: issue.labels),
    mergeRequestsCount=lambda issue, _: sum(
        issue in made.closes for made in issue.project.merge_requests
    ),
)  # fmt: skip


def visible(project: Project | None, context: Any) -> Project | None:
    """Nothing is said about a project that hides or is closed to us."""
    return None if project is None or project.hidden or project.id in context.closed else project

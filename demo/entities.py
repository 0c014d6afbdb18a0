"""What a GitLab holds. Instants are milliseconds UTC; None where GitLab answers null.

An entity is changed in place by the simulation, at the instant of the change: what it holds is always the
state at the clock. `json` keeps the rendered REST answer until the next change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

VERIFICATIONS = {"0": "unverified", "1": "unknown_key"}  # by the first letter of a sha


@dataclass(slots=True, eq=False)
class User:
    id: int
    username: str
    name: str
    email: str
    bot: bool = False
    state: str = "active"
    signs: bool = False


@dataclass(slots=True, eq=False)
class Commit:
    project: Project
    sha: str
    parents: tuple[str, ...]
    author: User
    authored: int
    committed: int
    message: str
    additions: int = 0
    deletions: int = 0
    signature: str | None = None
    files: int = 1
    web_author: bool = True
    json: Any = None

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def verification(self) -> str:
        """How far GitLab trusts the signature: mostly fully."""
        return VERIFICATIONS.get(self.sha[0], "verified")


@dataclass(slots=True, eq=False)
class Note:
    id: int
    author: User | None
    at: int
    body: str
    action: str | None = None  # a system note's
    type: str | None = None
    internal: bool = False
    thread: str = ""
    json: Any = None


@dataclass(slots=True, eq=False)
class StateEvent:
    id: int
    user: User
    at: int
    state: str


@dataclass(slots=True, eq=False)
class LabelEvent:
    id: int
    user: User
    at: int
    label: str
    action: str


@dataclass(slots=True, eq=False)
class Version:
    id: int
    at: int
    head: str
    base: str
    commits: list[Commit]


@dataclass(slots=True, eq=False)
class MergeRequest:
    id: int
    iid: int
    project: Project
    author: User | None
    title: str
    description: str
    source_branch: str
    target_branch: str
    created: int
    updated: int
    draft: bool = False
    state: str = "opened"
    merged: int | None = None
    closed: int | None = None
    merge_user: User | None = None
    closed_by: User | None = None
    commits: list[Commit] = field(default_factory=list)  # oldest first
    versions: list[Version] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    approvals: list[tuple[User, int]] = field(default_factory=list)
    states: list[StateEvent] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    label_events: list[LabelEvent] = field(default_factory=list)
    reviewers: list[User] = field(default_factory=list)
    required: int = 0
    squash: bool = False
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    source_project_id: int | None = None
    removes_branch: bool = True
    additions: int = 0
    deletions: int = 0
    files: int = 0
    closes: list[Issue] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    deployed: int | None = None
    json: Any = None

    @property
    def sha(self) -> str | None:
        return self.versions[-1].head if self.versions else None


@dataclass(slots=True, eq=False)
class Job:
    id: int
    pipeline: Pipeline
    spec: Any  # habits.JobSpec
    status: str
    created: int
    started: int | None = None
    finished: int | None = None
    retried: bool = False
    reason: str | None = None
    queued: int | None = None


@dataclass(slots=True, eq=False)
class Pipeline:
    id: int
    iid: int
    project: Project
    ref: str
    sha: str
    source: str
    user: User
    created: int
    updated: int
    tag: bool = False
    status: str = "created"
    started: int | None = None
    finished: int | None = None
    duration: int | None = None
    dag: bool = False
    jobs: list[Job] = field(default_factory=list)  # by id, retried ones too
    child: Pipeline | None = None
    bridge: Job | None = None
    json: Any = None


@dataclass(slots=True, eq=False)
class Environment:
    id: int
    name: str
    tier: str
    created: int
    updated: int
    last: Deployment | None = None


@dataclass(slots=True, eq=False)
class Deployment:
    id: int
    iid: int
    environment: Environment
    ref: str
    sha: str
    tag: bool
    user: User
    created: int
    updated: int
    status: str = "created"
    finished: int | None = None
    job: Job | None = None
    merge_requests: list[MergeRequest] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Tag:
    name: str
    sha: str
    at: int
    message: str | None
    json: Any = None


@dataclass(slots=True, eq=False)
class Release:
    project: Project
    tag: Tag
    author: User
    created: int
    released: int
    description: str = ""

    @property
    def commit(self) -> Commit:
        """Where its tag points now."""
        return self.project.commits[self.tag.sha]

    @property
    def id(self) -> str:
        """A release is addressed by its tag."""
        return self.tag.name


@dataclass(slots=True, eq=False)
class Issue:
    id: int
    iid: int
    project: Project
    author: User
    title: str
    created: int
    updated: int
    type: str = "issue"
    state: str = "opened"
    closed: int | None = None
    closed_by: User | None = None
    labels: list[str] = field(default_factory=list)
    states: list[StateEvent] = field(default_factory=list)
    label_events: list[LabelEvent] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    assignee: User | None = None
    confidential: bool = False
    moved_to: int | None = None
    json: Any = None


@dataclass(slots=True, eq=False)
class Event:
    """A line of a project's activity."""

    id: int
    at: int
    author: User
    action: str  # the word to filter by: pushed, approved, closed, reopened, merged, created
    name: str  # action_name
    target_type: str | None = None
    target: Any = None
    push: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Group:
    id: int
    name: str
    path: str
    full_path: str
    parent: Group | None
    kind: str = "group"


@dataclass(eq=False)
class Project:
    id: int
    index: int
    name: str
    group: Group
    habits: Any
    rng: Random
    created: int
    team: list[User]
    default_branch: str | None = "main"
    archived: bool = False
    empty: bool = False
    pending_deletion: str | None = None
    hidden: bool = False
    merge_requests_on: bool = True
    issues_on: bool = True
    builds_on: bool = True
    old_path: str | None = None
    fork_of: Project | None = None
    shared_with: tuple[str, ...] = ()  # groups that it is a guest of
    visibility: str = "private"
    activity: int = 0
    updated: int = 0
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    merge_requests: list[MergeRequest] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    bridges: list[Job] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    environments: dict[str, Environment] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    walks: dict[Any, list[Commit]] = field(default_factory=dict)  # commits of a ref, until a ref moves
    by_iid: dict[tuple[str, int], Any] = field(default_factory=dict)
    by_id: dict[int, Any] = field(default_factory=dict)  # pipelines, jobs, deployments: ids do not meet
    json: Any = None

    @property
    def path(self) -> str:
        return f"{self.group.full_path}/{self.name}"

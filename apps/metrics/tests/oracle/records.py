"""A history of one small org as plain records. Instants are milliseconds since 1970, in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Person:
    user_id: int
    username: str
    name: str
    flagged: bool | None = None  # what GitLab itself says of bots


@dataclass
class Mr:
    mr_id: int
    author: int | None
    source_branch: str
    source_project: int | None
    target_branch: str
    created: int
    turns: list[tuple[int, str]]  # closed and reopened, as its state events tell
    merged: int | None = None
    closed: int | None = None
    sha: str | None = None
    merge_commit: str | None = None
    squash_commit: str | None = None
    required: int | None = None
    commits: list[tuple[str, int]] = field(default_factory=list)  # SHA, authored
    approvals: list[tuple[int, int, bool]] = field(default_factory=list)  # at, user, given or revoked
    notes: list[tuple[int, int]] = field(default_factory=list)  # at, user
    versions: list[tuple[int, bool | None]] = field(default_factory=list)  # created, rewrites the one before
    closes: list[tuple[int, int]] = field(default_factory=list)  # project, iid of issues
    is_lost: bool = False  # GitLab has it no longer


@dataclass
class Commit:
    sha: str
    parents: list[str]
    committed: int
    author: int | None
    author_name: str
    signed: bool
    reverts_sha: str | None = None
    reverts_mr: int | None = None


@dataclass
class Job:
    job_id: int
    name: str
    stage: str
    status: str
    started: int | None
    finished: int | None
    needs: list[str] | None  # None: by stages
    retried: bool = False


@dataclass
class Pipeline:
    pipeline_id: int
    sha: str
    ref: str
    source: str
    status: str
    created: int
    updated: int
    finished_at: int | None
    duration: int | None
    jobs: list[Job] = field(default_factory=list)
    is_lost: bool = False

    @property
    def finished(self) -> int:
        return self.updated if self.finished_at is None else self.finished_at


@dataclass
class Record:
    """A deployment as GitLab keeps it."""

    deployment_id: int
    environment: str
    status: str
    sha: str
    pipeline: int | None
    created: int
    updated: int
    finished_at: int | None

    @property
    def finished(self) -> int:
        return self.updated if self.finished_at is None else self.finished_at


@dataclass
class Tag:
    name: str
    sha: str
    committed: int
    released: int | None

    @property
    def at(self) -> int:
        return self.committed if self.released is None else self.released


@dataclass
class Push:
    event_id: int
    at: int
    branch: str
    action: str
    old: str | None
    new: str | None


@dataclass
class Issue:
    issue_id: int
    created: int
    labels: list[str]
    kind: str
    moved: bool
    turns: list[tuple[int, str]]  # closed and reopened by turns
    is_lost: bool = False

    @property
    def closed(self) -> int | None:
        """When it was closed, if it is."""
        return self.turns[-1][0] if self.turns and self.turns[-1][1] == "closed" else None


@dataclass
class Project:
    project_id: int
    path: str
    line: str
    team: str
    tiers: dict[str, str] = field(default_factory=dict)
    has_approvals: bool = True
    refused: dict[str, str] = field(default_factory=dict)  # what GitLab does not tell of it, and why
    mrs: list[Mr] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    head: str | None = None
    pipelines: list[Pipeline] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


@dataclass
class History:
    projects: list[Project]
    people: dict[int, Person]
    bot_names: set[str]
    rules: dict[str, Any]  # default, business_lines, teams, repos, as the org file has them

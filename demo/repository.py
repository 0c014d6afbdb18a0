"""Git as far as metrics see it: commits with parents, branches, pushes and what they leave behind."""

from __future__ import annotations

import heapq
from typing import Any
from zlib import crc32

from demo.entities import Commit, Event, Project, User
from demo.times import HOUR

ZEROS = "0" * 40
SCRIPTS = (
    "Sharpen",
    "Rework",
    "Simplify",
    "Repair",
    "Extend",
    "Measure",
    "Guard",
    "Speed up",
    "Document",
    "Drop",
)
THINGS = (
    "order intake", "rate limiter", "price cache", "login form", "ledger export", "retry policy",
    "audit trail",
    "invoice layout", "search index", "webhook queue", "session store", "balance check", "health probe",
    "fee table",
)  # fmt: skip


def next_id(project: Project, kind: str) -> int:
    """Ids grow with time within a kind and do not meet between projects; most exceed 32 bits."""
    count = project.counters[kind] = project.counters.get(kind, 0) + 1
    return BASES[kind] + count * 1024 + project.index


BASES = {
    "merge_request": 3 << 31, "pipeline": 1 << 40, "job": 1 << 42, "note": 5 << 31, "issue": 4 << 31,
    "deployment": 1 << 36, "event": 7 << 31, "version": 6 << 31, "environment": 40_000_000,
    "state": 50_000_000,
    "label": 60_000_000,
}  # fmt: skip


def number_of(name: str) -> int:
    """An id for what has only a name here: the same name has the same one."""
    return crc32(name.encode())


def subject(project: Project) -> str:
    """A believable line about work."""
    rng = project.rng
    return f"{rng.choice(SCRIPTS)} {rng.choice(THINGS)}"


def make_commit(
    project: Project,
    author: User,
    at: int,
    parents: tuple[str, ...],
    message: str,
    *,
    authored: int | None = None,
) -> Commit:
    """A commit object that nothing points to yet."""
    rng = project.rng
    size = int(rng.expovariate(1 / 45)) + 1
    commit = Commit(
        project=project,
        sha=f"{rng.getrandbits(160):040x}",
        parents=parents,
        author=author,
        authored=at if authored is None else authored,
        committed=at,
        message=message,
        additions=0 if len(parents) > 1 else size,
        deletions=0 if len(parents) > 1 else int(size * rng.random()),
        files=min(40, size // 20 + 1),
        web_author=not author.bot and rng.random() > 0.03,
    )
    if author.signs and rng.random() < 0.95:
        commit.signature = rng.choices(("GPG", "SSH", "X509"), (5, 4, 1))[0]
    project.commits[commit.sha] = commit
    return commit


def record(project: Project, event: Event) -> None:
    """Add a line to the activity."""
    project.events.append(event)
    stir(project, event.at)


def stir(project: Project, at: int) -> None:
    """Something that people did: last_activity_at moves, unless it did within the hour before."""
    if at - project.activity >= HOUR:
        project.activity, project.json = at, None


def move_branch(project: Project, name: str, to: str | None, *, at: int, user: User, count: int = 1) -> None:
    """Point a branch at a commit, create or remove it, and write the push event."""
    before = project.branches.get(name)
    if to is None:
        project.branches.pop(name, None)
    else:
        project.branches[name] = to
    project.walks.clear()
    push_event(project, name, before, to, at=at, user=user, count=0 if to is None else count)


def push_event(
    project: Project, ref: str | None, before: str | None, to: str | None, *, at: int, user: User,
    count: int = 1, ref_type: str = "branch", ref_count: int | None = None,
) -> None:  # fmt: skip
    """The activity line of a push."""
    action = "pushed" if before and to else "created" if to else "removed"
    if ref_count:
        action = "pushed"
    commit = project.commits.get(to) if to else None
    push: dict[str, Any] = {
        "commit_count": count,
        "action": action,
        "ref_type": ref_type,
        "commit_from": before,
        "commit_to": to,
        "ref": ref,
        "commit_title": commit.title if commit else None,
        "ref_count": ref_count,
    }
    name = {"pushed": "pushed to", "created": "pushed new", "removed": "deleted"}[action]
    record(project, Event(next_id(project, "event"), at, user, "pushed", name, push=push))


def head(project: Project, ref: str | None = None) -> str:
    """The sha that the ref stands at; KeyError for an unknown one."""
    return project.branches[ref or project.default_branch or ""]


def resolve(project: Project, ref: str | None) -> str | None:
    """A branch, a tag or a (short) sha as a known sha."""
    if not ref:
        ref = project.default_branch or ""
    if ref in project.branches:
        return project.branches[ref]
    if ref in project.tags:
        return project.tags[ref].sha
    if ref in project.commits:
        return ref
    if 7 <= len(ref) < 40:
        return next((sha for sha in project.commits if sha.startswith(ref)), None)
    return None


def walk(project: Project, start: str, *, first_parent: bool = False) -> list[Commit]:
    """All that is reachable, youngest commit date first, as git log walks."""
    key = (start, first_parent)
    if (known := project.walks.get(key)) is not None:
        return known
    commits, seen, found = project.commits, {start}, []
    queue = [(-commits[start].committed, start)]
    while queue:
        commit = commits[heapq.heappop(queue)[1]]
        found.append(commit)
        for parent in commit.parents[:1] if first_parent else commit.parents:
            if parent not in seen and parent in commits:
                seen.add(parent)
                heapq.heappush(queue, (-commits[parent].committed, parent))
    if len(project.walks) > 50:
        project.walks.clear()
    project.walks[key] = found
    return found


def merge_base(project: Project, shas: list[str]) -> Commit | None:
    """The youngest common ancestor."""
    first, *others = ({commit.sha: commit for commit in walk(project, sha)} for sha in shas)
    common = [commit for sha, commit in first.items() if all(sha in other for other in others)]
    return common[0] if common else None

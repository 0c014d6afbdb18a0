"""The default branch: its mainline, who pushed to it, and what was signed."""

from __future__ import annotations

from apps.metrics.tests.oracle.people import is_bot
from apps.metrics.tests.oracle.records import Commit, History, Mr, Project

Points = list[tuple[int, int]]


def ancestors(project: Project, sha: str | None) -> set[str]:
    """The commit and everything in its history."""
    parents = {commit.sha: commit.parents for commit in project.commits}
    found: set[str] = set()
    waiting = [sha] if sha in parents else []
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.add(one)
            waiting.extend(parents.get(one, []))
    return found


def mainline(project: Project) -> list[Commit]:
    """The first-parent chain from the head, the oldest first."""
    known = {commit.sha: commit for commit in project.commits}
    chain: list[Commit] = []
    at = project.head
    while at in known:
        chain.append(known[at])
        at = known[at].parents[0] if known[at].parents else None
    return chain[::-1]


def positions(project: Project) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, commit in enumerate(mainline(project), start=1):
        for sha in ancestors(project, commit.sha):
            found.setdefault(sha, number)
    return found


def landing(mr: Mr) -> str | None:
    return mr.merge_commit or mr.squash_commit or mr.sha


def direct_pushes(history: History, project: Project) -> Points:
    brought: set[str | None] = set()
    for mr in project.mrs:
        if mr.merged is not None:
            brought |= {landing(mr), mr.merge_commit, mr.squash_commit, *(sha for sha, _ in mr.commits)}
    reachable = ancestors(project, project.head)
    return [
        (commit.committed, 1)
        for commit in project.commits
        if commit.sha in reachable
        and len(commit.parents) < 2
        and commit.sha not in brought
        and not is_bot(history, commit.author)
        and commit.author_name not in history.bot_names
    ]


def signed(project: Project) -> Points:
    reachable = ancestors(project, project.head)
    return [(one.committed, int(one.signed)) for one in project.commits if one.sha in reachable]


def force_pushes(project: Project) -> Points:
    return [
        (push.at, 1)
        for push in project.pushes
        if push.branch == "main" and push.action == "pushed" and push.old not in ancestors(project, push.new)
    ]

"""How a merge request lands: by merge commit, squashed, semi-linear or fast-forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.entities import MergeRequest, User
from demo.repository import head, make_commit, move_branch

if TYPE_CHECKING:
    from demo.merge_requests import Contributions


def land(contributions: Contributions, made: MergeRequest, user: User) -> None:
    """Bring the work into the target branch now and mark the merge request merged."""
    project, now = contributions.project, contributions.simulation.now
    method = project.habits.merge_method
    target = head(project, made.target_branch)
    if method != "merge" and made.versions[-1].base != target:
        _rebase(contributions, made, target, user)
    tip = made.commits[-1].sha
    if made.squash and len(made.commits) > 1:
        squashed = make_commit(
            project, made.author or user, now, (target,), f"{made.title}\n\n{made.description}"
        )
        squashed.additions, squashed.deletions = made.additions, made.deletions
        squashed.signature = None
        made.squash_commit_sha = tip = squashed.sha
    if method != "ff":
        words = f"Merge branch '{made.source_branch}' into '{made.target_branch}'\n\n{made.title}"
        merge = make_commit(project, user, now, (target, tip), words)
        merge.signature = None
        made.merge_commit_sha = tip = merge.sha
    move_branch(project, made.target_branch, tip, at=now, user=user, count=len(made.commits) + 1)
    made.state, made.merged, made.merge_user = "merged", now, user
    contributions.turn(made, user, "merged")


def _rebase(contributions: Contributions, made: MergeRequest, target: str, user: User) -> None:
    commits = contributions.rebased(made, target)
    now = contributions.simulation.now
    if made.source_branch in contributions.project.branches:
        move_branch(
            contributions.project, made.source_branch, commits[-1].sha, at=now, user=user, count=len(commits)
        )
    contributions.tell_of_push(made, user, len(commits))
    contributions.version(made, commits, target)

"""What METRICS.md says of merge requests: reviews, approvals, rework, and the lives of their branches."""

from __future__ import annotations

from typing import Any

from apps.metrics.tests.oracle.days import HOUR
from apps.metrics.tests.oracle.people import is_bot
from apps.metrics.tests.oracle.records import History, Mr, Project

Points = list[tuple[int, int]]


def review_events(history: History, mr: Mr) -> list[int]:
    """Notes and approvals (also ones revoked later) by reviewers, from the creation to the merge."""
    said = [*mr.notes, *((at, user) for at, user, given in mr.approvals if given)]
    return sorted(
        at
        for at, user in said
        if user != mr.author
        and not is_bot(history, user)
        and at >= mr.created
        and (mr.merged is None or at <= mr.merged)
    )


def approvers_by(mr: Mr, instant: int) -> int:
    standing: set[int] = set()
    for at, user, given in sorted(mr.approvals):
        if at <= instant and user != mr.author:
            (standing.add if given else standing.discard)(user)
    return len(standing)


def required(mr: Mr, rules: dict[str, Any]) -> int:
    return max(mr.required or 0, rules["approvals"]["minimum"])


def met_at(mr: Mr, needed: int) -> int | None:
    """When the required number of approvals was reached for good."""
    assert mr.merged is not None
    steps = sorted({at for at, _, _ in mr.approvals if at <= mr.merged})
    found: int | None = None
    for at in steps:
        enough = approvers_by(mr, at) >= needed
        found = (at if found is None else found) if enough else None
    return found


def cycle_times(project: Project) -> Points:
    lengths = [
        (mr.merged, mr.merged - min(authored for _, authored in mr.commits))
        for mr in project.mrs
        if mr.merged is not None and mr.commits
    ]
    return [(at, length) for at, length in lengths if length > 0]


def first_reviews(history: History, project: Project) -> Points:
    found = []
    for mr in project.mrs:
        events = review_events(history, mr)
        if events and events[0] > mr.created:
            found.append((events[0], events[0] - mr.created))
    return found


def times_in_review(history: History, project: Project, rules: dict[str, Any]) -> Points:
    found = []
    for mr in project.mrs:
        events = review_events(history, mr)
        if mr.merged is None or not events:
            continue
        needed = required(mr, rules)
        until = met_at(mr, needed) if needed > 0 else None
        if until is None or until < events[0]:
            until = mr.merged
        if until >= events[0]:
            found.append((mr.merged, until - events[0]))
    return found


def rounds(history: History, mr: Mr) -> int:
    """Distinct versions that were current when a review event came."""
    starts = sorted(at for at, _ in mr.versions)
    seen = set()
    for event in review_events(history, mr):
        earlier = [start for start in starts if start <= event]
        seen.add(max(len(earlier) - 1, 0))
    return len(seen)


def rework(history: History, project: Project, rules: dict[str, Any]) -> Points:
    most = rules["rework"]["force_pushes"]
    found = []
    for mr in project.mrs:
        if mr.merged is not None:
            forced = sum(rewrites is True for _, rewrites in sorted(mr.versions)[1:])
            found.append((mr.merged, int(rounds(history, mr) > 1 or forced > most)))
    return found


def bypasses(project: Project, rules: dict[str, Any]) -> Points:
    return [
        (mr.merged, int(approvers_by(mr, mr.merged) < required(mr, rules)))
        for mr in project.mrs
        if mr.merged is not None and required(mr, rules) > 0
    ]


def throughput(project: Project) -> Points:
    return [(mr.merged, 1) for mr in project.mrs if mr.merged is not None]


def is_open_at(mr: Mr, instant: int) -> bool:
    if mr.created > instant or (mr.merged is not None and mr.merged <= instant):
        return False
    last = "reopened"
    for at, turn in sorted(mr.turns):
        if at <= instant:
            last = turn
    return last == "reopened"


def ages(project: Project, instant: int) -> list[int]:
    return [instant - mr.created for mr in project.mrs if is_open_at(mr, instant)]


def branch_start(project: Project, mr: Mr) -> int:
    made = [
        push.at
        for push in project.pushes
        if mr.source_project == project.project_id
        and push.branch == mr.source_branch
        and push.action == "created"
        and push.at <= mr.created
    ]
    if made:
        return max(made)
    return min([mr.created, *(authored for _, authored in mr.commits)])


def branch_end(project: Project, mr: Mr) -> int | None:
    if mr.merged is not None:
        return mr.merged
    gone = [
        push.at
        for push in project.pushes
        if mr.source_project == project.project_id
        and push.branch == mr.source_branch
        and push.action == "removed"
        and push.at > mr.created
    ]
    return min(gone) if gone else mr.closed


def branch_lives(project: Project) -> Points:
    lives = [(branch_end(project, mr), branch_start(project, mr)) for mr in project.mrs]
    return [(until, until - start) for until, start in lives if until is not None and until > start]


def old_branches(project: Project, since: int, instant: int) -> int:
    """Branches that took over 30 days, and those that stand and are older, as of an instant."""
    limit = 30 * 24 * HOUR
    ended = sum(length > limit and since <= at < instant for at, length in branch_lives(project))
    standing = 0
    for mr in project.mrs:
        start, until = branch_start(project, mr), branch_end(project, mr)
        if is_open_at(mr, instant) and (until is None or until > instant):
            standing += instant - start > limit
    return ended + standing

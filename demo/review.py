"""What becomes of an open merge request: talked about, approved, merged, forgotten, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.entities import MergeRequest, User
from demo.merging import land
from demo.repository import head, make_commit, move_branch
from demo.simulation import Life
from demo.times import DAY, MINUTE, SECOND, after_work

if TYPE_CHECKING:
    from demo.merge_requests import Contributions

REMARKS = (
    "Could this be a named constant?",
    "What happens when the list is empty?",
    "Nice, much clearer now.",
    "This needs a test for the failing case.",
    "I would rather not lock here.",
    "Typo in the message.",
    "Does this hold across the change to winter time?",
    "Please split this function.",
)


def through_review(work: Contributions, made: MergeRequest, *, machine: bool) -> Life:
    """From opening to its end, whichever that is."""
    project, rng, simulation = work.project, work.project.rng, work.simulation
    if rng.random() < 0.5:
        yield simulation.now + int(rng.uniform(1, 9) * MINUTE)
        work.note(made, work.bots["project"], "Coverage stays at 87.4 %.")
    if made.draft:
        yield after_work(simulation.now, rng.expovariate(1 / 7))
        made.draft, made.title = False, made.title.removeprefix("Draft: ")
        work.note(made, made.author, "marked this merge request as **ready**", action="title")
    reviewers = rng.sample([user for user in project.team if user is not made.author], 2)
    if not machine:
        made.reviewers = reviewers
        work.note(made, made.author, f"requested review from @{reviewers[0].username}", action="reviewer")
    fate = rng.random()
    if fate < 0.035:
        yield from _forget(work, made, reviewers[0])
        return
    yield after_work(simulation.now, rng.expovariate(1 / project.habits.review))
    if fate < 0.1:
        yield from _abandon(work, made, reviewers[0])
        if made.state != "opened":
            return
    yield from _talk(work, made, reviewers, machine=machine)
    yield from _approvals(work, made, reviewers)
    yield after_work(simulation.now, rng.expovariate(1 / 1.5))
    yield from _merge(work, made, reviewers[-1], machine=machine)


def _talk(work: Contributions, made: MergeRequest, reviewers: list[User], *, machine: bool) -> Life:
    """Rounds of remarks and pushes; about long work, more notes than a page holds."""
    rng = work.project.rng
    if len(made.commits) > 100:
        for number in range(110):
            yield work.simulation.now + int(rng.uniform(0.2, 3) * MINUTE)
            work.note(made, reviewers[number % 2], rng.choice(REMARKS), kind="DiffNote")
    rounds = 0 if machine else min(4, int(rng.expovariate(1 / 1.4)))
    for _ in range(rounds):
        yield from _round(work, made, rng.choice(reviewers))


def _round(work: Contributions, made: MergeRequest, reviewer: User) -> Life:
    rng, simulation = work.project.rng, work.simulation
    for _ in range(rng.randint(1, 3)):
        thread = f"{rng.getrandbits(160):040x}"
        kind = rng.choice(("DiffNote", "DiffNote", "DiscussionNote", None))
        remark, internal = rng.choice(REMARKS), rng.random() < 0.03
        speaker = reviewer if rng.random() > 0.005 else work.bots["ghost"]  # an account that is gone
        work.note(made, speaker, remark, kind=kind, thread=thread, internal=internal)
        yield simulation.now + int(rng.uniform(1, 15) * MINUTE)
    yield after_work(simulation.now, rng.expovariate(1 / 2))
    work.note(made, made.author, "Done.", kind="DiscussionNote", thread=made.notes[-1].thread)
    work.push_again(made)
    yield after_work(simulation.now, rng.expovariate(1 / work.project.habits.review * 2))


def _approvals(work: Contributions, made: MergeRequest, reviewers: list[User]) -> Life:
    rng, simulation = work.project.rng, work.simulation
    wanted = max(made.required, int(rng.random() < 0.6))
    if rng.random() < work.project.habits.bypass:
        wanted = 0
    for reviewer in reviewers[:wanted]:
        work.approve(made, reviewer)
        if rng.random() < 0.02:
            yield simulation.now + MINUTE
            made.approvals.pop()
            work.note(made, reviewer, "unapproved this merge request", action="unapproved")
        yield after_work(simulation.now, rng.expovariate(1 / 1.2))


def _forget(work: Contributions, made: MergeRequest, user: User) -> Life:
    """Weeks pass; most are closed in the end, some stay open for good."""
    rng = work.project.rng
    yield work.simulation.now + int(rng.uniform(7, 50) * DAY)
    if rng.random() < 0.85:
        yield after_work(work.simulation.now, rng.uniform(0.5, 8))
        yield from _abandon(work, made, user)


def _abandon(work: Contributions, made: MergeRequest, user: User) -> Life:
    """Closed: some are opened again, some lose their branch, a few are deleted."""
    project, rng, simulation = work.project, work.project.rng, work.simulation
    made.state, made.closed, made.closed_by = "closed", simulation.now, user
    work.turn(made, user, "closed")
    if rng.random() < 0.35:
        hours = 8 if rng.random() < 0.85 else 150  # the next days, or weeks later
        yield after_work(simulation.now, rng.expovariate(1 / hours))
        made.state, made.closed, made.closed_by = "opened", None, None
        work.turn(made, user, "reopened")
        return
    if made.source_branch in project.branches and rng.random() < 0.7:
        yield simulation.now + int(rng.uniform(0, 3) * DAY)
        move_branch(project, made.source_branch, None, at=simulation.now, user=user)
    if rng.random() < 0.05:
        made.commits, made.updated, made.json = [], simulation.now, None  # the branch was reset
    if rng.random() < 0.08:
        yield simulation.now + DAY
        project.merge_requests.remove(made)  # deleted for good
        del project.by_iid["merge_request", made.iid]


def _merge(work: Contributions, made: MergeRequest, reviewer: User, *, machine: bool) -> Life:
    project, rng, simulation = work.project, work.project.rng, work.simulation
    chosen = work.bots["merge"] if machine or rng.random() < 0.15 else rng.choice((made.author, reviewer))
    user = chosen or reviewer
    land(work, made, user)
    to_default = made.target_branch == project.default_branch
    if to_default:
        work.runner.start("main", made.target_branch, head(project), user)
        work.runner.deployer.landed(made)
        work.on_merge(made)
    yield simulation.now + int(rng.uniform(2, 30) * SECOND)
    if made.removes_branch and made.source_branch in project.branches:
        move_branch(project, made.source_branch, None, at=simulation.now, user=user)
    yield from _afterwards(work, made, reviewer)
    if rng.random() < 0.02 and to_default:
        yield after_work(simulation.now, rng.uniform(0.2, 10))
        yield from _revert(work, made, reviewer)


def _afterwards(work: Contributions, made: MergeRequest, reviewer: User) -> Life:
    """Words and approvals that come when all is done: no review any more."""
    rng = work.project.rng
    if rng.random() < 0.04:
        yield after_work(work.simulation.now, rng.uniform(0.5, 12))
        work.note(made, reviewer, "Works well in production.")
        if not any(user is reviewer for user, _ in made.approvals):
            work.approve(made, reviewer)


def _revert(work: Contributions, made: MergeRequest, user: User) -> Life:
    """Taken back: GitLab's own words in commit and merge request."""
    project, simulation = work.project, work.simulation
    now = simulation.now
    sha = made.merge_commit_sha or made.squash_commit_sha or made.sha or ""
    base, branch = head(project), f"revert-{sha[:8]}-{made.iid}"
    title = f'Revert "{made.title}"'
    words = f"This reverts merge request !{made.iid}"
    commit = make_commit(project, user, now, (base,), f"{title}\n\nThis reverts commit {sha}.\n\n{words}")
    commit.additions, commit.deletions = made.deletions, made.additions
    move_branch(project, branch, commit.sha, at=now, user=user)
    again = work.open(user, title, branch, [commit], base, description=words)
    again.draft, again.title = False, title
    yield now + int(project.rng.uniform(3, 60) * MINUTE)
    other = next(one for one in project.team if one is not user)
    yield from _approvals(work, again, [other])
    land(work, again, other)
    work.runner.start("main", again.target_branch, head(project), other)
    work.runner.deployer.landed(again)
    yield simulation.now + 5 * SECOND
    move_branch(project, branch, None, at=simulation.now, user=other)

"""The life of a merge request, from the first commit to what comes after the merge."""

from __future__ import annotations

from collections.abc import Callable

from demo.entities import Commit, Event, Issue, MergeRequest, Note, Project, StateEvent, User, Version
from demo.merging import land
from demo.pipelines import Runner
from demo.repository import head, make_commit, move_branch, next_id, record, subject
from demo.simulation import Life, Simulation
from demo.times import DAY, MINUTE, SECOND, after_work

REMARKS = (
    "Could this be a named constant?", "What happens when the list is empty?", "Nice, much clearer now.",
    "This needs a test for the failing case.", "I would rather not lock here.", "Typo in the message.",
    "Does this hold across the change to winter time?", "Please split this function.",
)  # fmt: skip


class Contributions:
    """Merge requests of one project."""

    def __init__(
        self, project: Project, simulation: Simulation, runner: Runner, bots: dict[str, User]
    ) -> None:
        self.project, self.simulation, self.runner, self.bots = project, simulation, runner, bots
        self.on_merge: Callable[[MergeRequest, list[Issue]], None] = lambda merge_request, issues: None

    def work(self, author: User, *, target: str | None = None) -> Life:
        """Someone works on something and brings it in."""
        project, rng = self.project, self.project.rng
        machine = author is self.bots["renovate"]
        base = head(project, target)
        title = (
            subject(project) if not machine else f"Update dependency {rng.choice(('ruff', 'redis', 'vite'))}"
        )
        count = 1 if machine else min(9, 1 + int(rng.expovariate(1 / 1.6)))
        pause = 2.5
        if not machine and rng.random() < 0.004:
            count, pause = 130, 0.05  # more commits than a page holds
        moments = [self.simulation.now]
        for _ in range(count - 1):
            moments.append(after_work(moments[-1], rng.expovariate(1 / pause)))
        yield after_work(moments[-1], rng.uniform(0.02, 1))
        number = project.counters.get("mr_branch", 0) + 1
        project.counters["mr_branch"] = number
        branch = f"{'renovate/' if machine else ''}{title.lower().replace(' ', '-')}-{number}"
        commits: list[Commit] = []
        parent = base
        for moment in moments:
            message = title if len(commits) == 0 else subject(project)
            commits.append(make_commit(project, author, moment, (parent,), message))
            parent = commits[-1].sha
        if rng.random() < 0.01 and not machine:
            commits[0].authored = self.simulation.now + 40 * DAY  # a clock that was wrong
        move_branch(project, branch, parent, at=self.simulation.now, user=author, count=count)
        if rng.random() < 0.3:
            self.runner.start("check", branch, parent, author)
        yield self.simulation.now + int(rng.uniform(1, 40) * MINUTE)
        merge_request = self.open(author, title, branch, commits, base, target=target)
        yield from self._through_review(merge_request, machine=machine)

    def open(
        self,
        author: User,
        title: str,
        branch: str,
        commits: list[Commit],
        base: str,
        *,
        target: str | None = None,
        description: str = "",
    ) -> MergeRequest:
        """A merge request that is opened now."""
        project, rng, now = self.project, self.project.rng, self.simulation.now
        number = project.counters["mr_iid"] = project.counters.get("mr_iid", 0) + 1
        habits = project.habits
        made = MergeRequest(
            next_id(project, "merge_request"), number, project, author, title, description, branch,
            target or project.default_branch or "main", now, now,
            required=habits.required, squash=rng.random() < habits.squash, source_project_id=project.id,
            removes_branch=rng.random() < habits.removes_branch,
        )  # fmt: skip
        made.draft = author not in self.bots.values() and rng.random() < 0.2
        if made.draft:
            made.title = f"Draft: {title}"
        self._choose_issue(made)
        if rng.random() < 0.012:
            made.source_project_id = project.fork_of.id if project.fork_of else None  # the fork is gone
        project.merge_requests.append(made)
        project.by_iid["merge_request", number] = made
        self.version(made, commits, base)
        record(
            project, Event(next_id(project, "event"), now, author, "created", "opened", "MergeRequest", made)
        )
        return made

    def _choose_issue(self, made: MergeRequest) -> None:
        project, rng = self.project, self.project.rng
        candidates = [
            issue for issue in project.issues[-25:] if issue.state == "opened" and issue.type == "issue"
        ]
        if (
            candidates
            and not made.description
            and rng.random() < 0.5
            and made.author not in self.bots.values()
        ):
            issue = rng.choice(candidates)
            made.closes = [issue.iid]
            made.description = f"What it says.\n\nCloses #{issue.iid}"

    def version(self, made: MergeRequest, commits: list[Commit], base: str) -> None:
        """The diff after a push."""
        made.commits = commits
        made.versions.append(Version(next_id(self.project, "version"), self.simulation.now, commits[-1].sha,
        base,
                                     list(commits)))  # fmt: skip
        made.additions = sum(commit.additions for commit in commits)
        made.deletions = sum(commit.deletions for commit in commits)
        made.files = sum(commit.files for commit in commits) + (
            1200 if self.project.rng.random() < 0.004 else 0
        )
        pipeline = self.runner.start(
            "check", f"refs/merge-requests/{made.iid}/head", commits[-1].sha,
            made.author or self.bots["ghost"],
            "merge_request_event",
        )  # fmt: skip
        if pipeline:
            made.pipelines.append(pipeline)

    def note(
        self,
        made: MergeRequest,
        author: User | None,
        body: str,
        *,
        action: str | None = None,
        kind: str | None = None,
        internal: bool = False,
        thread: str = "",
    ) -> None:
        """A comment or, with an action, a system note, now."""
        now = self.simulation.now
        number = next_id(self.project, "note")
        made.notes.append(Note(number, author, now, body, action, kind, internal, thread or f"{number:040x}"))
        made.updated, made.json = now, None

    def _through_review(self, made: MergeRequest, *, machine: bool) -> Life:
        project, rng, habits = self.project, self.project.rng, self.project.habits
        if rng.random() < 0.5:
            yield self.simulation.now + int(rng.uniform(1, 9) * MINUTE)
            self.note(made, self.bots["project"], "Coverage stays at 87.4 %.")
        if made.draft:
            yield after_work(self.simulation.now, rng.expovariate(1 / 7))
            made.draft, made.title = False, made.title.removeprefix("Draft: ")
            self.note(made, made.author, "marked this merge request as **ready**", action="title")
        reviewers = rng.sample([user for user in project.team if user is not made.author], 2)
        if not machine:
            made.reviewers = reviewers
            self.note(made, made.author, f"requested review from @{reviewers[0].username}", action="reviewer")
        fate = rng.random()
        if fate < 0.035:
            yield from self._forget(made, reviewers[0])
            return
        yield after_work(self.simulation.now, rng.expovariate(1 / habits.review))
        if fate < 0.1:
            yield from self._abandon(made, reviewers[0])
            if made.state != "opened":
                return
        if len(made.commits) > 100:
            yield from self._long_talk(made, reviewers)
        rounds = 0 if machine else min(4, int(rng.expovariate(1 / 1.4)))
        for _ in range(rounds):
            yield from self._round(made, rng.choice(reviewers))
        yield from self._approve(made, reviewers)
        yield after_work(self.simulation.now, rng.expovariate(1 / 1.5))
        yield from self._merge(made, reviewers[-1], machine=machine)

    def _long_talk(self, made: MergeRequest, reviewers: list[User]) -> Life:
        """More notes than a page holds."""
        for number in range(110):
            yield self.simulation.now + int(self.project.rng.uniform(0.2, 3) * MINUTE)
            self.note(made, reviewers[number % 2], self.project.rng.choice(REMARKS), kind="DiffNote")

    def _round(self, made: MergeRequest, reviewer: User) -> Life:
        rng = self.project.rng
        for _ in range(rng.randint(1, 3)):
            thread = f"{rng.getrandbits(160):040x}"
            kind = rng.choice(("DiffNote", "DiffNote", "DiscussionNote", None))
            self.note(
                made, reviewer, rng.choice(REMARKS), kind=kind, thread=thread, internal=rng.random() < 0.03
            )
            yield self.simulation.now + int(rng.uniform(1, 15) * MINUTE)
        yield after_work(self.simulation.now, rng.expovariate(1 / 2))
        self.note(made, made.author, "Done.", kind="DiscussionNote", thread=made.notes[-1].thread)
        self.push_again(made)
        yield after_work(self.simulation.now, rng.expovariate(1 / self.project.habits.review * 2))

    def push_again(self, made: MergeRequest) -> None:
        """The author pushes: further commits, an amended one, or the whole branch on a newer base."""
        project, rng, now = self.project, self.project.rng, self.simulation.now
        author, kind = made.author or self.bots["ghost"], rng.random()
        base, commits = made.versions[-1].base, list(made.commits)
        if kind < 0.68:
            added = [make_commit(project, author, now, (commits[-1].sha,), subject(project))]
            commits += added
        elif kind < 0.88:
            last = commits.pop()
            added = [make_commit(project, author, now, last.parents, last.message, authored=last.authored)]
            commits += added
        else:
            commits = added = self.rebased(made, head(project, made.target_branch))
            base = head(project, made.target_branch)
        move_branch(project, made.source_branch, commits[-1].sha, at=now, user=author, count=len(added))
        self.note(
            made, author, f"added {len(added)} commit{'s' * (len(added) > 1)}\n\n<ul></ul>", action="commit"
        )
        self.version(made, commits, base)

    def rebased(self, made: MergeRequest, base: str) -> list[Commit]:
        """The same work on another base: new shas and committer dates, old author dates."""
        commits, parent = [], base
        for old in made.commits:
            new = make_commit(self.project, old.author, self.simulation.now, (parent,), old.message,
                              authored=old.authored)  # fmt: skip
            commits.append(new)
            parent = new.sha
        return commits

    def _approve(self, made: MergeRequest, reviewers: list[User]) -> Life:
        project, rng = self.project, self.project.rng
        wanted = max(made.required, int(rng.random() < 0.6))
        if rng.random() < project.habits.bypass:
            wanted = 0
        for reviewer in reviewers[:wanted]:
            made.approvals.append((reviewer, self.simulation.now))
            self.note(made, reviewer, "approved this merge request", action="approved")
            record(project, Event(next_id(project, "event"), self.simulation.now, reviewer, "approved",
            "approved",
                                  "MergeRequest", made))  # fmt: skip
            if rng.random() < 0.02:
                yield self.simulation.now + MINUTE
                made.approvals.pop()
                self.note(made, reviewer, "unapproved this merge request", action="unapproved")
            yield after_work(self.simulation.now, rng.expovariate(1 / 1.2))

    def turn(self, made: MergeRequest, user: User, state: str, *, words: str | None = None) -> None:
        """A change of state with its traces."""
        now, project = self.simulation.now, self.project
        made.states.append(StateEvent(next_id(project, "state"), user, now, state))
        name = {"merged": "accepted"}.get(state, state)
        record(project, Event(next_id(project, "event"), now, user, state, name, "MergeRequest", made))
        action = "opened" if state == "reopened" else state
        self.note(made, user, words or state, action=action)

    def _forget(self, made: MergeRequest, user: User) -> Life:
        """Weeks pass; most are closed in the end, some stay open for good."""
        rng = self.project.rng
        yield self.simulation.now + int(rng.uniform(7, 50) * DAY)
        if rng.random() < 0.85:
            yield after_work(self.simulation.now, rng.uniform(0.5, 8))
            yield from self._abandon(made, user)

    def _abandon(self, made: MergeRequest, user: User) -> Life:
        project, rng = self.project, self.project.rng
        made.state, made.closed, made.closed_by = "closed", self.simulation.now, user
        self.turn(made, user, "closed")
        if rng.random() < 0.35:
            yield after_work(self.simulation.now, rng.expovariate(1 / 8))
            made.state, made.closed, made.closed_by = "opened", None, None
            self.turn(made, user, "reopened")
            return
        if made.source_branch in project.branches and rng.random() < 0.7:
            yield self.simulation.now + int(rng.uniform(0, 3) * DAY)
            move_branch(project, made.source_branch, None, at=self.simulation.now, user=user)
        if rng.random() < 0.08:
            yield self.simulation.now + DAY
            project.merge_requests.remove(made)  # deleted for good
            del project.by_iid["merge_request", made.iid]

    def _merge(self, made: MergeRequest, reviewer: User, *, machine: bool) -> Life:
        project, rng = self.project, self.project.rng
        user = self.bots["merge"] if machine or rng.random() < 0.15 else rng.choice((made.author, reviewer))
        land(self, made, user or reviewer)
        if made.target_branch == project.default_branch:
            self.runner.start("main", made.target_branch, head(project), user or reviewer)
            self.runner.deployer.landed(made)
            closed = [issue for iid in made.closes if (issue := project.by_iid.get(("issue", iid)))]
            self.on_merge(made, closed)
        yield self.simulation.now + int(rng.uniform(2, 30) * SECOND)
        if made.removes_branch and made.source_branch in project.branches:
            move_branch(project, made.source_branch, None, at=self.simulation.now, user=user or reviewer)
        if rng.random() < 0.04:
            yield after_work(self.simulation.now, rng.uniform(0.5, 12))
            self.note(made, reviewer, "Works well in production.")
        if rng.random() < 0.02 and made.target_branch == project.default_branch:
            yield after_work(self.simulation.now, rng.uniform(0.2, 10))
            yield from self._revert(made, reviewer)

    def _revert(self, made: MergeRequest, user: User) -> Life:
        """Taken back: GitLab's own words in commit and merge request."""
        project, now = self.project, self.simulation.now
        sha = made.merge_commit_sha or made.squash_commit_sha or made.sha or ""
        base, branch = head(project), f"revert-{sha[:8]}-{made.iid}"
        title = f'Revert "{made.title}"'
        words = f"This reverts merge request !{made.iid}"
        commit = make_commit(project, user, now, (base,), f"{title}\n\nThis reverts commit {sha}.\n\n{words}")
        commit.additions, commit.deletions = made.deletions, made.additions
        move_branch(project, branch, commit.sha, at=now, user=user)
        again = self.open(user, title, branch, [commit], base, description=words)
        again.draft, again.title, again.closes = False, title, []
        yield self.simulation.now + int(self.project.rng.uniform(3, 60) * MINUTE)
        other = next(one for one in project.team if one is not user)
        yield from self._approve(again, [other])
        land(self, again, other)
        self.runner.start("main", again.target_branch, head(project), other)
        self.runner.deployer.landed(again)
        yield self.simulation.now + 5 * SECOND
        move_branch(project, branch, None, at=self.simulation.now, user=other)

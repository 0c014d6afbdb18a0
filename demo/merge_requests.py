"""Merge requests of one project: the work that leads to them, and what people do to them."""

from __future__ import annotations

from collections.abc import Callable

from demo import review
from demo.closing import Find, closed_by, wording
from demo.entities import Commit, Event, Issue, MergeRequest, Note, Project, StateEvent, User, Version
from demo.pipelines import Runner
from demo.repository import head, make_commit, move_branch, next_id, record, stir, subject
from demo.simulation import Life, Simulation
from demo.times import DAY, MINUTE, after_work

UPDATES = ("ruff", "redis", "vite")


class Contributions:
    """Knows how a merge request changes; `review.py` knows when."""

    def __init__(
        self, project: Project, simulation: Simulation, runner: Runner, bots: dict[str, User]
    ) -> None:
        self.project, self.simulation, self.runner, self.bots = project, simulation, runner, bots
        self.on_merge: Callable[[MergeRequest], None] = lambda merge_request: None
        self.find: Find = lambda path: project if path == project.path else None
        self.others: list[Project] = []  # whose issues may be closed from here

    def work(self, author: User, *, target: str | None = None) -> Life:
        """Someone works on something and brings it in."""
        project, rng = self.project, self.project.rng
        machine = author is self.bots["renovate"]
        base = head(project, target)
        title = f"Update dependency {rng.choice(UPDATES)}" if machine else subject(project)
        moments = self._moments(machine)
        yield after_work(moments[-1], rng.uniform(0.02, 1))
        number = project.counters["mr_branch"] = project.counters.get("mr_branch", 0) + 1
        branch = f"{'renovate/' if machine else ''}{title.lower().replace(' ', '-')}-{number}"
        commits = self._commits(author, title, base, moments)
        if rng.random() < 0.01 and not machine:
            commits[0].authored = self.simulation.now + 40 * DAY  # a clock that was wrong
        tip = commits[-1].sha
        move_branch(project, branch, tip, at=self.simulation.now, user=author, count=len(commits))
        if rng.random() < 0.3:
            self.runner.start("check", branch, tip, author)
        yield self.simulation.now + int(rng.uniform(1, 40) * MINUTE)
        made = self.open(author, title, branch, commits, base, target=target)
        yield from review.through_review(self, made, machine=machine)

    def _moments(self, machine: bool) -> list[int]:
        """When the commits are made, from now on; once in a while more than a page holds."""
        rng = self.project.rng
        count = 1 if machine else min(9, 1 + int(rng.expovariate(1 / 1.6)))
        pause = 2.5
        if not machine and rng.random() < 0.004:
            count, pause = 130, 0.05
        moments = [self.simulation.now]
        for _ in range(count - 1):
            moments.append(after_work(moments[-1], rng.expovariate(1 / pause)))
        return moments

    def _commits(self, author: User, title: str, base: str, moments: list[int]) -> list[Commit]:
        commits: list[Commit] = []
        parent = base
        for moment in moments:
            message = self._message() if commits else title
            commits.append(make_commit(self.project, author, moment, (parent,), message))
            parent = commits[-1].sha
        return commits

    def _message(self) -> str:
        """What a commit says; some say what they close."""
        words = subject(self.project)
        if self.project.rng.random() < 0.05 and (able := self._open_issues()):
            words += f"\n\nFixes #{self.project.rng.choice(able).iid}"
        return words

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
        made = MergeRequest(
            id=next_id(project, "merge_request"),
            iid=number,
            project=project,
            author=author,
            title=title,
            description=description,
            source_branch=branch,
            target_branch=target or project.default_branch or "main",
            created=now,
            updated=now,
            required=project.habits.required,
            squash=rng.random() < project.habits.squash,
            source_project_id=project.id,
            removes_branch=rng.random() < project.habits.removes_branch,
        )
        made.draft = author not in self.bots.values() and rng.random() < 0.2
        if made.draft:
            made.title = f"Draft: {title}"
        self._choose_issue(made)
        if rng.random() < 0.012:
            made.source_project_id = project.fork_of.id if project.fork_of else None  # the fork is gone
        project.merge_requests.append(made)
        project.by_iid["merge_request", number] = made
        self.version(made, commits, base)
        self._tell(made, author, "created", "opened")
        return made

    def _choose_issue(self, made: MergeRequest) -> None:
        project, rng = self.project, self.project.rng
        able = self._open_issues()
        if able and not made.description and rng.random() < 0.5 and made.author not in self.bots.values():
            far = rng.choice(self.others) if self.others else None
            made.description = f"What it says.\n\n{wording(rng, project, able, far)}"

    def _open_issues(self) -> list[Issue]:
        issues = self.project.issues[-25:]
        return [issue for issue in issues if issue.state == "opened" and issue.type == "issue"]

    def version(self, made: MergeRequest, commits: list[Commit], base: str) -> None:
        """The diff after a push."""
        number, sha = next_id(self.project, "version"), commits[-1].sha
        made.commits = commits
        made.closes = closed_by(made, self.find)
        made.versions.append(Version(number, self.simulation.now, sha, base, list(commits)))
        made.additions = sum(commit.additions for commit in commits)
        made.deletions = sum(commit.deletions for commit in commits)
        huge = 1200 if self.project.rng.random() < 0.004 else 0
        made.files = sum(commit.files for commit in commits) + huge
        ref, user = f"refs/merge-requests/{made.iid}/head", made.author or self.bots["ghost"]
        pipeline = self.runner.start("check", ref, sha, user, "merge_request_event")
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
        if action is None:
            stir(self.project, now)

    def push_again(self, made: MergeRequest) -> None:
        """The author pushes: further commits, an amended one, the whole branch on a newer base, or less."""
        project, rng, now = self.project, self.project.rng, self.simulation.now
        author, kind = made.author or self.bots["ghost"], rng.random()
        base, commits = made.versions[-1].base, list(made.commits)
        if kind < 0.03 and len(commits) > 1:
            commits.pop()
            added: list[Commit] = []
        elif kind < 0.68:
            added = [make_commit(project, author, now, (commits[-1].sha,), self._message())]
            commits += added
        elif kind < 0.88:
            last = commits.pop()
            added = [make_commit(project, author, now, last.parents, last.message, authored=last.authored)]
            commits += added
        else:
            base = head(project, made.target_branch)
            commits = added = self.rebased(made, base)
        move_branch(project, made.source_branch, commits[-1].sha, at=now, user=author, count=len(added))
        self.tell_of_push(made, author, len(added))
        self.version(made, commits, base)

    def tell_of_push(self, made: MergeRequest, user: User, count: int) -> None:
        """GitLab's note on a push; there is none where no commit is new."""
        if count:
            words = f"added {count} commit{'s' * (count > 1)}\n\n<ul></ul>"
            self.note(made, user, words, action="commit")

    def rebased(self, made: MergeRequest, base: str) -> list[Commit]:
        """The same work on another base: new shas and committer dates, old author dates."""
        commits: list[Commit] = []
        now, parent = self.simulation.now, base
        for old in made.commits:
            new = make_commit(self.project, old.author, now, (parent,), old.message, authored=old.authored)
            commits.append(new)
            parent = new.sha
        return commits

    def approve(self, made: MergeRequest, reviewer: User) -> None:
        """One approval now, with its note and its line of activity."""
        made.approvals.append((reviewer, self.simulation.now))
        self.note(made, reviewer, "approved this merge request", action="approved")
        self._tell(made, reviewer, "approved", "approved")

    def turn(self, made: MergeRequest, user: User, state: str) -> None:
        """The traces of a change of state now."""
        made.states.append(StateEvent(next_id(self.project, "state"), user, self.simulation.now, state))
        self._tell(made, user, state, "accepted" if state == "merged" else state)
        self.note(made, user, state, action="opened" if state == "reopened" else state)

    def _tell(self, made: MergeRequest, user: User, action: str, name: str) -> None:
        number = next_id(self.project, "event")
        record(self.project, Event(number, self.simulation.now, user, action, name, "MergeRequest", made))

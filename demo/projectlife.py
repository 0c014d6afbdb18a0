"""The days of one project: what people begin on each of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from demo.closing import OLD, Find
from demo.delivery import Delivery
from demo.entities import Issue, LabelEvent, MergeRequest, Project, User
from demo.habits import ci_file
from demo.issues import Tracker
from demo.merge_requests import Contributions
from demo.pipelines import Runner
from demo.repository import head, make_commit, move_branch, next_id, push_event, subject
from demo.simulation import Life, Simulation
from demo.times import DAY, HOUR, OPENS, WORKDAY, is_workday, zone_offset

Deed = Callable[[], Life | None]  # done at once, or the beginning of a life
RELEASES = {"tags": 0.3, "both": 0.3}  # a working day


class ProjectLife:
    """One project and everything that goes on in it."""

    def __init__(
        self, project: Project, bots: dict[str, User], *, start: int, ends: int | None = None
    ) -> None:
        self.project, self.bots, self._start, self._ends = project, bots, start, ends
        self.simulation = Simulation(start)
        self.runner = Runner(project, self.simulation, ci_file(project.habits))
        self.contributions = Contributions(project, self.simulation, self.runner, bots)
        self.tracker = Tracker(project, self.simulation)
        self.delivery = Delivery(project, self.simulation, self.runner)
        self.contributions.on_merge = self._close_issues
        self.others: dict[int, ProjectLife] = {}
        self._found(start)
        self.simulation.begin(self._days(start))

    def run_until(self, now: int) -> None:
        """Everything that happens here until then; nothing any more once the project is archived."""
        self.simulation.run_until(now if self._ends is None else min(now, self._ends))
        self.project.archived = self._ends is not None and now >= self._ends

    def _found(self, start: int) -> None:
        """What was there before: some commits, a branch, an old import whose merge has no date."""
        project, rng = self.project, self.project.rng
        for number in range(OLD):
            self.tracker.old(rng.choice(project.team), start - (390 - 30 * number) * DAY)
        parents: tuple[str, ...] = ()
        for number in range(12):
            at = project.created + number * 30 * DAY + rng.randrange(DAY)
            commit = make_commit(project, rng.choice(project.team), at, parents, subject(project))
            parents = (commit.sha,)
        project.branches["main"] = parents[0]
        project.branches["release/1.x"] = commit.parents[0]
        self.simulation.now = start - 60 * DAY
        old = make_commit(project, project.team[0], self.simulation.now - DAY, parents, "Import of old work")
        made = self.contributions.open(project.team[0], "Old work", "old-work", [old], parents[0])
        if project.index % 3 == 0:
            made.state, made.author = "merged", self.bots["ghost"]
        else:
            project.branches["old-work"] = old.sha
        self.simulation.run_until(start)

    def meet(self, others: list[ProjectLife], find: Find) -> None:
        """Who lives beside us. Lives go on one after the other, so we may only touch those behind us, and
        only what they held before history began.
        """
        self.others = {life.project.id: life for life in others}
        self.contributions.others = [life.project for life in others]
        self.contributions.find = find

    def _close_issues(self, merge_request: MergeRequest) -> None:
        """A merge closes what it names, here and in other projects."""
        user = merge_request.merge_user or self.project.team[0]
        for issue in merge_request.closes:
            life = self if issue.project is self.project else self.others.get(issue.project.id)
            if life:
                moment = self.simulation.now
                life.simulation.begin(life.tracker.closed_at(moment, issue, user))

    def _days(self, start: int) -> Life:
        """Every local day from the first on."""
        day = start // DAY
        while True:
            midnight = day * DAY - zone_offset(day)
            if midnight >= start:
                yield midnight
                self._plan_day(midnight)
            day += 1

    def _plan_day(self, midnight: int) -> None:
        project, rng, habits = self.project, self.project.rng, self.project.habits
        if habits.nightly:
            self._at(midnight + 2 * HOUR, self._nightly)
        if project.index % 8 == 3 and (midnight - self._start) // DAY == 30:
            self._at(midnight + 11 * HOUR, self._tidy)
        if not is_workday(midnight + 12 * HOUR):
            if rng.random() < 0.03:
                self._at(midnight + int(rng.uniform(10, 20) * HOUR), self._direct_push)
            return
        often: tuple[tuple[float, Deed], ...] = (
            (habits.merge_requests, self._contribution),
            (habits.issues, lambda: self.tracker.life(rng.choice(project.team))),
            (habits.direct, self._direct_push),
            (habits.force, self._force_push),
            (0.004, self._bulk_push),
            (0.001, self._tidy),
            (0.03 * habits.nightly, self._matrix),
            (RELEASES.get(habits.delivery, 0), lambda: self.delivery.release(rng.choice(project.team))),
            (0.7 * (habits.delivery == "api"), lambda: self.delivery.by_api(self.bots["project"])),
        )
        for rate, deed in often:
            for _ in range(_count(rng, rate)):
                moment = midnight + OPENS + int(rng.betavariate(1.6, 1.9) * WORKDAY)
                self._at(moment, deed)

    def _contribution(self) -> Life:
        rng = self.project.rng
        target = "release/1.x" if rng.random() < 0.03 else None
        author = self.bots["renovate"] if rng.random() < 0.1 else rng.choice(self.project.team)
        return self.contributions.work(author, target=target)

    def _at(self, moment: int, deed: Deed) -> None:
        def later() -> Life:
            yield moment
            life = deed()
            if life is not None:
                yield from life

        self.simulation.begin(later())

    def _nightly(self) -> None:
        project = self.project
        self.runner.start("nightly", "main", head(project), self.bots["project"], "schedule")

    def _matrix(self) -> None:
        project = self.project
        self.runner.start("matrix", "main", head(project), project.rng.choice(project.team), "web")

    def _direct_push(self) -> None:
        project, rng, now = self.project, self.project.rng, self.simulation.now
        user = rng.choice(project.team)
        commit = make_commit(project, user, now, (head(project),), subject(project))
        move_branch(project, "main", commit.sha, at=now, user=user)
        self.runner.start("main", "main", commit.sha, user)

    def _force_push(self) -> None:
        """The newest commit is amended and the protected branch pushed over."""
        project, rng, now = self.project, self.project.rng, self.simulation.now
        user, old = rng.choice(project.team), project.commits[head(project)]
        commit = make_commit(project, user, now, old.parents[:1], old.message, authored=old.authored)
        move_branch(project, "main", commit.sha, at=now, user=user)
        self.runner.start("main", "main", commit.sha, user)

    def _bulk_push(self) -> None:
        """More refs at once than GitLab lists: one event that names none."""
        user = self.project.rng.choice(self.project.team)
        push_event(self.project, None, None, None, at=self.simulation.now, user=user, count=0, ref_count=7)

    def _tidy(self) -> None:
        """One label on everything at once: many rows with one and the same updated_at."""
        project, now = self.project, self.simulation.now
        label = f"quarter::{now // DAY // 91 % 4 + 1}"
        everything: list[Issue | MergeRequest] = [*project.issues, *project.merge_requests]
        for one in everything:
            if label not in one.labels:
                one.labels = [*one.labels, label]
                number = next_id(project, "label")
                one.label_events.append(LabelEvent(number, project.team[0], now, label, "add"))
                one.updated, one.json = now, None


def _count(rng: Random, rate: float) -> int:
    """How often something with this rate happens in a day."""
    whole, rest = divmod(rate * rng.uniform(0.4, 1.6), 1)
    return int(whole) + (rng.random() < rest)

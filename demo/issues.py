"""Issues and incidents: asked for, worked on, closed, sometimes opened again."""

from __future__ import annotations

from demo.entities import Event, Issue, LabelEvent, Note, Project, StateEvent, User
from demo.repository import next_id, record, subject
from demo.simulation import Life, Simulation
from demo.times import MINUTE, after_work

LABELS = (
    (("SLA::7d",), 26), ((), 22), (("type::bug", "SLA::24h"), 9), (("bug",), 8), (("type::bug",
    "found-in::production"), 5),
    (("bug", "escaped", "SLA::24h"), 4), (("type::feature",), 18), (("SLA::24h",), 8),
)  # fmt: skip


class Tracker:
    """The issues of one project."""

    def __init__(self, project: Project, simulation: Simulation) -> None:
        self.project, self.simulation = project, simulation

    def life(self, author: User) -> Life:
        """One issue, from its opening on."""
        rng, project = self.project.rng, self.project
        issue = self._open(author)
        if issue.labels:
            yield self.simulation.now + int(rng.uniform(0, 20) * MINUTE)
            self._label(issue, author)
        fate = rng.random()
        if fate < 0.07:
            return
        if fate < 0.085:
            yield after_work(self.simulation.now, rng.expovariate(1 / 5))
            self._move_away(issue, author)
            return
        hours = 3 if "SLA::24h" in issue.labels else 22
        yield after_work(self.simulation.now, rng.expovariate(1 / hours) * (1 + 4 * (fate < 0.2)))
        if issue.state == "opened":
            self.close(issue, rng.choice(project.team))
        if rng.random() < 0.1:
            yield after_work(self.simulation.now, rng.expovariate(1 / 12))
            if issue.state == "closed":
                self._reopen(issue, author)
                yield after_work(self.simulation.now, rng.expovariate(1 / 15))
                if issue.state == "opened":
                    self.close(issue, rng.choice(project.team))

    def _open(self, author: User) -> Issue:
        project, rng, now = self.project, self.project.rng, self.simulation.now
        number = project.counters["issue_iid"] = project.counters.get("issue_iid", 0) + 1
        kind = rng.choices(("issue", "incident", "task"), (91, 5, 4))[0]
        made = Issue(
            next_id(project, "issue"), number, project, author, subject(project), now, now, type=kind
        )
        made.labels = list(rng.choices([labels for labels, _ in LABELS], [weight for _, weight in LABELS])[0])
        made.assignee = rng.choice(project.team)
        made.confidential = rng.random() < 0.02
        project.issues.append(made)
        project.by_iid["issue", number] = made
        record(project, Event(next_id(project, "event"), now, author, "created", "opened", "Issue", made))
        return made

    def _label(self, issue: Issue, user: User) -> None:
        now = self.simulation.now
        for label in issue.labels:
            issue.label_events.append(LabelEvent(next_id(self.project, "label"), user, now, label, "add"))
        issue.updated, issue.json = now, None

    def close(self, issue: Issue, user: User) -> None:
        """Closed now, by hand or by a merge."""
        issue.state, issue.closed, issue.closed_by = "closed", self.simulation.now, user
        self._turn(issue, user, "closed")

    def _move_away(self, issue: Issue, user: User) -> None:
        """Closed here; it goes on in a project that the token does not see."""
        if issue.state == "opened":
            issue.moved_to = next_id(self.project, "issue")
            self.close(issue, user)

    def _reopen(self, issue: Issue, user: User) -> None:
        issue.state, issue.closed, issue.closed_by = "opened", None, None
        self._turn(issue, user, "reopened")

    def _turn(self, issue: Issue, user: User, state: str) -> None:
        now, project = self.simulation.now, self.project
        issue.states.append(StateEvent(next_id(project, "state"), user, now, state))
        record(project, Event(next_id(project, "event"), now, user, state, state, "Issue", issue))
        action = "opened" if state == "reopened" else state
        number = next_id(project, "note")
        issue.notes.append(Note(number, user, now, state, action, thread=f"{number:040x}"))
        issue.updated, issue.json = now, None

    def closed_at(self, moment: int, issue: Issue, user: User) -> Life:
        """A merge, here or in another project, closes the issue at that instant."""
        yield moment
        if issue.state == "opened":
            self.close(issue, user)

    def old(self, author: User, at: int) -> None:
        """An issue from before history begins, which nobody works on."""
        self.simulation.now = at
        self._open(author).type = "issue"

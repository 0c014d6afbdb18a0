"""Random histories: small orgs of two or three projects, grown from a seed."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any, NamedTuple

from apps.metrics.tests.oracle.days import HOUR, midnight
from apps.metrics.tests.oracle.growing_ci import grow_jobs, grow_pipelines, grow_records
from apps.metrics.tests.oracle.records import Commit, History, Issue, Mr, Person, Project, Push, Tag

MINUTE = 60_000
DAYS = 36
PEOPLE = {
    1: Person(1, "ann", "Ann"),
    2: Person(2, "bob", "Bob"),
    3: Person(3, "eve", "Eve", flagged=False),
    4: Person(4, "ghost", "Ghost User"),
    7: Person(7, "project_7_bot_a1", "A token"),
    8: Person(8, "scanner", "Scanner", flagged=True),
    9: Person(9, "renovate-bot", "Renovate"),
}
BOT_NAMES = {"renovate-bot", "Merge Bot"}
HUMANS, ANYONE = [1, 2, 3, 4], [1, 2, 3, 4, 7, 8, 9]
LABELS = [
    "bug",
    "type::bug",
    "BUG",
    "debug",
    "SLA::24h",
    "SLA::7d",
    "escaped",
    "found-in::production",
    "incident",
    "type::incident",
    "other",
]


class Most(NamedTuple):
    """How many there are at most: of all, in a project, of a merge request, in a pipeline."""

    projects: int = 3
    landings: int = 7
    unmerged: int = 4
    talk: int = 4
    issues: int = 4
    tags: int = 3
    pushes: int = 3
    pipelines: int = 10
    jobs: int = 4
    records: int = 7


ALL = Most()


class Grower:
    """Draws from one seed; no instant twice, for the page says nothing of ties between most things."""

    def __init__(self, seed: int, *, first: dt.date, ids: int, most: Most) -> None:
        self.random, self.most = Random(seed), most  # histories, not secrets
        self.start, self.used, self._ids = midnight(first), set[int](), ids

    def some(self, low: int, most: int) -> range:
        """As many times as is drawn, up to a bound of `most`; a lower bound changes little else."""
        return range(min(self.random.randint(low, max(low, most)), most))

    def id(self) -> int:
        self._ids += 1
        return self._ids

    def at(self, after: int | None = None, *, days: float = DAYS) -> int:
        """An instant; half hours often meet local midnights, odd ones seldom do."""
        since = self.start if after is None else after
        while True:
            length = self.random.random() * days * 24 * HOUR
            grain = self.random.choice([30 * MINUTE, 30 * MINUTE, MINUTE, 1])
            found = int(since + length) // grain * grain
            if found not in self.used and found >= since:
                self.used.add(found)
                return found

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability


def grow(seed: int, *, nth: int = 0, first: dt.date, most: Most = ALL) -> History:
    """The history of a seed. `nth` keeps its ids, paths and names apart from those of others."""
    grower = Grower(seed, first=first, ids=(nth + 1) * 100_000, most=most)
    projects = []
    for number in grower.some(2, most.projects):
        home = f"toman/line{nth}/{'ab'[number % 2]}"
        project = Project(
            project_id=grower.id(),
            path=f"{home}/repo{number}",
            line=f"Line {nth}",
            team=f"Team {'ab'[number % 2]} of {nth}",
            tiers={"live": "production", "staging": "staging", "prod/eu": "production"},
            has_approvals=grower.chance(0.8),
        )
        grow_graph(grower, project)
        grow_unmerged(grower, project)
        for mr in project.mrs:
            grow_talk(grower, project, mr)
        grow_issues(grower, project)
        grow_tags(grower, project)
        grow_pipelines(grower, project)
        grow_jobs(grower, project)
        grow_records(grower, project)
        grow_pushes(grower, project)
        projects.append(project)
    grow_links(grower, projects)
    for project in projects:
        lose(grower, project)
    return History(projects, PEOPLE, BOT_NAMES, overrides(grower, projects))


def grow_graph(grower: Grower, project: Project) -> None:
    """A default branch: merges, squashes, fast-forwards, local merges, direct pushes, reverts."""
    tip = commit(grower, project, [], grower.start - 40 * 24 * HOUR)
    for at in sorted(grower.at() for _ in grower.some(3, grower.most.landings)):
        kind = grower.random.choice(["merge", "merge", "squash", "both", "forward", "direct", "local"])
        if kind == "direct":
            tip = commit(grower, project, [tip], at)
            continue
        base = tip if kind == "forward" else grower.random.choice([c.sha for c in project.commits])
        branch = [base]
        for _ in range(grower.random.randint(1, 3)):
            known = kind in ("merge", "forward", "local")
            at_branch = at - grower.random.randint(1, 60) * MINUTE
            branch.append(commit(grower, project, [branch[-1]], at_branch, stands=known))
        tip = land(grower, project, kind, tip=tip, branch=branch[1:], at=at)
    project.head = tip


def land(grower: Grower, project: Project, kind: str, *, tip: str, branch: list[str], at: int) -> str:
    merge = squash = None
    if kind in ("squash", "both"):
        squash = commit(grower, project, [tip], at)
    if kind in ("merge", "local"):
        merge = commit(grower, project, [tip, branch[-1]], at)
    if kind == "both":
        merge = commit(grower, project, [tip, str(squash)], at)
    if kind != "local":
        created = at - grower.random.randint(1, 20 * 24 * 60) * MINUTE
        mr = new_mr(grower, project, created=created, shas=branch)
        mr.merged, mr.sha, mr.merge_commit, mr.squash_commit = at, branch[-1], merge, squash
        mr.turns = [turn for turn in mr.turns if turn[0] < at]
    return merge or squash or branch[-1]


def commit(grower: Grower, project: Project, parents: list[str], at: int, *, stands: bool = True) -> str:
    """A commit's SHA; one that does not stand is never on the default branch, and nobody reads it."""
    sha = f"{grower.id():040x}"
    made = Commit(
        sha=sha,
        parents=parents,
        committed=at,
        author=grower.random.choice([1, 1, 2, None, 9, 7]),
        author_name=grower.random.choice(["Ann", "Ann", "Merge Bot"]),
        signed=grower.chance(0.5),
    )
    if grower.chance(0.3) and project.commits:
        made.reverts_sha = grower.random.choice(project.commits).sha
    if grower.chance(0.2) and project.mrs:
        made.reverts_mr = grower.random.choice(project.mrs).mr_id
    if stands:
        project.commits.append(made)
    return sha


def new_mr(grower: Grower, project: Project, *, created: int, shas: list[str]) -> Mr:
    turns = []
    if grower.chance(0.3):
        closed = grower.at(created + 1, days=6)
        turns = [(closed, "closed"), (grower.at(closed + 1, days=3), "reopened")]
    mr = Mr(
        mr_id=grower.id(),
        author=grower.random.choice([1, 2, 4, 9]),
        source_branch=grower.random.choice(["feature", "fix", "topic"]),
        source_project=project.project_id if grower.chance(0.8) else 999_999_999,
        target_branch="main",
        created=created,
        turns=turns,
        required=grower.random.choice([0, 1, 2]) if project.has_approvals else None,
        commits=[
            (sha, grower.random.choice([created, created - grower.random.randint(-600, 60_000) * MINUTE]))
            for sha in shas
        ],
    )
    project.mrs.append(mr)
    return mr


def grow_unmerged(grower: Grower, project: Project) -> None:
    for _ in grower.some(1, grower.most.unmerged):
        created = grower.at()
        mr = new_mr(grower, project, created=created, shas=[f"{grower.id():040x}"])
        last = max([created, *(at for at, _ in mr.turns)])
        end = grower.random.choice(["opened", "closed", "elsewhere"])
        if end == "closed":
            mr.closed = grower.at(last + 1, days=10)
            mr.turns.append((mr.closed, "closed"))
        elif end == "elsewhere":
            mr.merged, mr.target_branch, mr.sha = grower.at(last + 1, days=10), "develop", mr.commits[0][0]
        if grower.chance(0.1):
            mr.commits = []


def grow_talk(grower: Grower, project: Project, mr: Mr) -> None:
    """Notes, approvals and versions; some came before the creation or after the merge."""
    length = ((mr.merged or mr.created + 5 * 24 * HOUR) - mr.created) / (24 * HOUR)
    near = mr.created - HOUR
    mr.notes = [
        (grower.at(near, days=length * 1.1), grower.random.choice(ANYONE))
        for _ in grower.some(0, grower.most.talk)
    ]
    if grower.chance(0.1):
        mr.notes.append((mr.created, 3))
    mr.approvals = [
        (grower.at(near, days=length * 1.1), grower.random.choice(ANYONE), grower.chance(0.75))
        for _ in grower.some(0, grower.most.talk)
    ]
    if mr.merged is not None:
        for nth in grower.some(0, grower.most.talk):
            at = mr.created if nth == 0 else grower.at(mr.created + 1, days=length)
            mr.versions.append((at, None if nth == 0 else grower.random.choice([True, True, False, None])))


def grow_issues(grower: Grower, project: Project) -> None:
    for _ in grower.some(1, grower.most.issues):
        created = grower.at()
        turns, at = [], created
        for nth in range(grower.random.choice([0, 0, 1, 1, 2, 3])):
            at = grower.at(at + 1, days=8)
            turns.append((at, "reopened" if nth % 2 else "closed"))
        labels = grower.random.sample(LABELS, k=grower.random.randint(0, 3))
        if grower.chance(0.4):
            labels = ["SLA::7d", "SLA::24h", *grower.random.sample(["bug", "BUG", "escaped"], k=1)]
        kind = grower.random.choice(["issue", "issue", "issue", "incident", "task"])
        project.issues.append(Issue(grower.id(), created, labels, kind, grower.chance(0.1), turns))


def grow_tags(grower: Grower, project: Project) -> None:
    names = grower.random.sample(["v1.0.0", "1.2", "junk", "2.0.0-rc.1", "vv1.0.0", "v01.2.3"], k=3)
    for name in names[: len(grower.some(0, grower.most.tags))]:
        released = grower.at() if grower.chance(0.6) else None
        sha = grower.random.choice(project.commits).sha
        project.tags.append(Tag(name, sha, grower.at(), released))


def grow_pushes(grower: Grower, project: Project) -> None:
    shas = [one.sha for one in project.commits]
    for _ in grower.some(0, grower.most.pushes):
        old, new = grower.random.choice([*shas, "f" * 40]), grower.random.choice(shas)
        branch = grower.random.choice(["main", "main", "feature"])
        project.pushes.append(Push(grower.id(), grower.at(), branch, "pushed", old, new))
    for branch in ("feature", "fix", "topic"):
        for _ in grower.some(0, min(2, grower.most.pushes)):
            action = grower.random.choice(["created", "removed"])
            at = grower.at(grower.start - 30 * 24 * HOUR, days=60)
            project.pushes.append(Push(grower.id(), at, branch, action, None, None))


def grow_links(grower: Grower, projects: list[Project]) -> None:
    every = [(one.project_id, issue.issue_id) for one in projects for issue in one.issues]
    for project in projects:
        for mr in project.mrs:
            if mr.merged is not None and grower.chance(0.7):
                mr.closes = grower.random.sample(every, k=min(len(every), grower.random.randint(1, 2)))


def lose(grower: Grower, project: Project) -> None:
    """GitLab deletes some; a project without issues tells of none."""
    for one in (*project.mrs, *project.pipelines, *project.issues):
        one.is_lost = grower.chance(0.06)
    if grower.chance(0.08):
        project.refused["issues"] = grower.random.choice(["feature_disabled", "no_access"])
        project.issues = []


def overrides(grower: Grower, projects: list[Project]) -> dict[str, Any]:
    signals = ["environment", "release_tag", "default_branch"]
    choice = grower.random.choice

    def some() -> dict[str, Any]:
        every = {
            "production": choice(
                [
                    {"infer": "any"},
                    {"infer": "all", "signals": grower.random.sample(signals, k=grower.random.randint(1, 3))},
                    {"signals": grower.random.sample(signals, k=2)},
                    {"environment": "^staging$"},
                    {"tag": "^v"},
                ]
            ),
            "rollback": choice([{"within_hours": 2}, {"within_hours": 240}, {"pattern": "^fix"}]),
            "approvals": {"minimum": choice([0, 1, 2])},
            "rework": {"force_pushes": choice([0, 1, 2])},
            "sla": choice([[], [{"label": "SLA::24h", "hours": 24}, {"label": "SLA::7d", "hours": 168}]]),
            "incidents": choice([{"within_hours": 4}, {"within_hours": 400}, {"label": "^other$"}]),
            "bugs": choice([{"escape_days": 1}, {"label": "bug"}, {"escape_label": r"^found\b"}]),
        }
        return {block: said for block, said in every.items() if grower.chance(0.4)}

    told = {
        "business_lines": {projects[0].line: some()},
        "teams": {projects[0].team: some()},
        "repos": {projects[-1].path: some()},
    }
    return {level: {k: v for k, v in named.items() if v} for level, named in told.items()}

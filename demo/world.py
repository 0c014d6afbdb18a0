"""The company: groups, people, projects, and the passing of time over all of them."""

from __future__ import annotations

from random import Random
from typing import Any

from demo.delivery import environments_of
from demo.entities import Group, Project, User
from demo.habits import LINES, SUBGROUPS, Pace, habits_of
from demo.oddities import add_oddities
from demo.people import People
from demo.projectlife import ProjectLife
from demo.times import DAY

ROOT_ID, PROJECT_ID = 7_000, 71_000_000
MANY = 200  # from here on there are as many issues as in the reference workload of the benches


class World:
    """All that exists at `now`. The same seed, projects and start give the same world at the same instant."""

    def __init__(
        self, *, seed: int, projects: int, start: int, now: int, pace: float = 1.0, mixed: bool = False
    ) -> None:
        self.seed, self.start, self.now = seed, start, start
        self.people = People(seed, tuple(LINES), projects)
        self.groups: dict[str, Group] = {}
        self.projects: dict[int, Project] = {}
        self.by_path: dict[str, Project] = {}
        self.lives: list[ProjectLife] = []
        self.kept: dict[Any, list[Any]] = {}  # long lists, put in order once until time passes
        self._make_groups()
        usual = Pace(work=pace, talk=pace * (2.8 if projects >= MANY else 1.0))
        for index, (line, path) in enumerate(_paths(projects)):
            manner = index // len(LINES) + (index if mixed else 0)
            self._make_project(index, line, path, manner=manner, pace=usual)
        add_oddities(self)
        for place, life in enumerate(self.lives):
            life.meet(self.lives[place + 1 : place + 9], self.by_path.get)
        self.move_to(now)

    def move_to(self, now: int) -> None:
        """Let time pass; never backwards."""
        for life in self.lives:
            life.run_until(now)
        self.kept.clear()
        for project in self.projects.values():
            project.json = None
        self.now = max(now, self.now)

    def _make_groups(self) -> None:
        root = self.add_group("toman", None)
        for line in LINES:
            top = self.add_group(line, root)
            for name in SUBGROUPS[line]:
                self.add_group(name, top)

    def add_group(self, name: str, parent: Group | None, kind: str = "group") -> Group:
        """A group, or the namespace of a user."""
        full = f"{parent.full_path}/{name}" if parent else name
        group = Group(ROOT_ID + len(self.groups), name.replace("-", " ").title(), name, full, parent, kind)
        self.groups[full] = group
        return group

    def _make_project(self, index: int, line: str, path: str, *, manner: int, pace: Pace) -> None:
        rng = Random(f"{self.seed}/{path}")
        group_path, _, name = f"toman/{line}/{path}".rpartition("/")
        number = list(LINES).index(line)
        habits = habits_of(rng, manner, number, pace)
        project = self.add_project(
            index, name, self.groups[group_path], habits, rng, self.people.team(line, rng)
        )
        self.begin_life(project)

    def begin_life(self, project: Project, *, ends: int | None = None) -> None:
        """What people do in a project, until it is archived."""
        self.lives.append(ProjectLife(project, self._bots(project), start=self.start, ends=ends))

    def add_project(
        self, index: int, name: str, group: Group, habits: Any, rng: Random, team: list[User]
    ) -> Project:
        """A project without a history."""
        created = self.start - 400 * DAY
        project = Project(PROJECT_ID + index * 17, index, name, group, habits, rng, created, team)
        project.activity = project.updated = created
        self.projects[project.id] = self.by_path[project.path] = project
        environments_of(project, created)
        return project

    def _bots(self, project: Project) -> dict[str, User]:
        people = self.people
        return {
            "renovate": people.renovate,
            "merge": people.merge_bot,
            "ghost": people.ghost,
            "project": people.project_bot(project.id),
        }


def _paths(count: int) -> list[tuple[str, str]]:
    """Dealt out line by line: four projects are one of each line."""
    found = []
    for index in range(count):
        line = list(LINES)[index % len(LINES)]
        place = index // len(LINES)
        named = LINES[line]
        group = SUBGROUPS[line][place % 2]
        found.append((line, named[place] if place < len(named) else f"{group}/service-{index:03}"))
    return found

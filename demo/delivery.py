"""Tags, releases, and deployments that no job makes."""

from __future__ import annotations

from demo.entities import Environment, Project, Release, Tag, User
from demo.pipelines import Runner
from demo.repository import head, next_id, push_event, walk
from demo.simulation import Life, Simulation
from demo.times import DAY, HOUR, MINUTE, iso

ODD_TAGS = ("release-{month}", "1.{n}", "v{n}", "1.{n}-hotfix_", "nightly-{n}")  # no SemVer, all of them


class Delivery:
    """How one project ships."""

    def __init__(self, project: Project, simulation: Simulation, runner: Runner) -> None:
        self.project, self.simulation, self.runner = project, simulation, runner
        self._version = [1, 0, 0]

    def release(self, user: User) -> Life:
        """A tag on what is there; mostly with a release, sometimes regretted."""
        project, rng, now = self.project, self.project.rng, self.simulation.now
        tag = Tag(
            self._name(), head(project), now, f"Release of {project.name}" if rng.random() < 0.7 else None
        )
        if tag.name in project.tags:
            return
        project.tags[tag.name] = tag
        push_event(project, tag.name, None, tag.sha, at=now, user=user, ref_type="tag")
        self.runner.start("tag", tag.name, tag.sha, user, tag=True)
        if rng.random() < 0.75:
            yield now + int(rng.uniform(5, 60) * MINUTE)
            shift = rng.choices((0, 5 * DAY, -3 * DAY), (94, 3, 3))[0]
            project.releases[tag.name] = Release(
                project, tag, user, self.simulation.now, self.simulation.now + shift, "Notes."
            )
        if rng.random() < 0.04:
            yield self.simulation.now + int(rng.uniform(1, 20) * HOUR)
            del project.tags[tag.name]
            project.releases.pop(tag.name, None)
            push_event(
                project, tag.name, tag.sha, None, at=self.simulation.now, user=user, ref_type="tag", count=0
            )

    def _name(self) -> str:
        rng, version = self.project.rng, self._version
        if rng.random() > self.project.habits.semver:
            count = self.project.counters["odd_tag"] = self.project.counters.get("odd_tag", 0) + 1
            month = (iso(self.simulation.now) or "")[:7]
            return rng.choice(ODD_TAGS).format(n=count, month=month)
        part = rng.choices((0, 1, 2), (1, 5, 10))[0]
        version[part] += 1
        version[part + 1 :] = [0] * (2 - part)
        suffix = "-rc.1" if rng.random() < 0.08 else ""
        letter = "v" if rng.random() < 0.85 else ""
        return f"{letter}{version[0]}.{version[1]}.{version[2]}{suffix}"

    def by_api(self, user: User) -> Life:
        """A tool outside CI reports that it has deployed the newest state, or an older one."""
        project, rng = self.project, self.project.rng
        line = walk(project, head(project), first_parent=True)
        back = min(rng.choices((0, 1, 2), (92, 5, 3))[0], len(line) - 1)
        made = self.runner.deployer.begin("production", line[back].sha, project.default_branch or "", user)
        yield self.simulation.now + int(rng.uniform(1, 9) * MINUTE)
        self.runner.deployer.settle(made, "success" if rng.random() < 0.95 else "failed")


def environments_of(project: Project, created: int) -> None:
    """The environments that this project's way of delivering needs."""
    wanted = {
        "environments": (
            ("production", "production"),
            ("production/eu", "production"),
            ("staging", "staging"),
        ),
        "api": (("production", "production"),),
    }
    wanted["both"] = wanted["environments"]
    for name, tier in wanted.get(project.habits.delivery, ()):
        made = Environment(next_id(project, "environment"), name, tier, created, created)
        project.environments[name] = made

"""Projects that are not like the others: a collector has to live with them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from demo.entities import Project
from demo.habits import Habits
from demo.repository import make_commit
from demo.times import DAY

if TYPE_CHECKING:
    from demo.world import World

ARCHIVED_AFTER = 20  # days of history


def add_oddities(world: World) -> None:
    """Archived, empty, without merge requests, about to be deleted, hidden, a fork, a guest, a moved one."""
    _archived(world)
    empty = _quiet(world, "blank-slate", "toman/corporate-services/people", commits=0)
    empty.default_branch, empty.empty = None, True
    plain = _quiet(world, "runbooks", "toman/core/sre")
    plain.merge_requests_on = plain.builds_on = False
    leaving = _quiet(world, "sunset", "toman/exchange/custody")
    leaving.pending_deletion = "2099-01-01"
    secret = _quiet(world, "hsm-keys", "toman/exchange/custody")
    secret.hidden = True
    _quiet(world, "handbook", "toman/corporate-services", commits=3).issues_on = False
    _fork(world)
    world.add_group("partners", None)
    guest = _quiet(world, "rate-cards", "partners")
    guest.shared_with = ("toman/exchange",)
    first = next(iter(world.projects.values()))
    first.old_path = f"toman/legacy/{first.name}"


def _archived(world: World) -> None:
    """Alive for the first days of history; then nothing changes any more, running pipelines included."""
    rng = Random(f"{world.seed}/old-gateway")
    project = world.add_project(
        len(world.projects), "old-gateway", world.groups["toman/core/platform"], Habits(), rng,
        world.people.team("core", rng),
    )  # fmt: skip
    world.begin_life(project, ends=world.start + ARCHIVED_AFTER * DAY)


def _quiet(world: World, name: str, group: str, *, commits: int = 5) -> Project:
    rng = Random(f"{world.seed}/{group}/{name}")
    line = group.partition("/")[2].partition("/")[0]
    team = world.people.team(
        line if line in ("core", "corporate-services", "exchange", "c-side") else "core", rng
    )
    project = world.add_project(
        len(world.projects), name, world.groups[group], Habits(delivery="none"), rng, team
    )
    parents: tuple[str, ...] = ()
    for number in range(commits):
        commit = make_commit(
            project, rng.choice(team), project.created + number * 86_400_000, parents, "Begin"
        )
        parents = (commit.sha,)
        project.branches["main"] = commit.sha
    return project


def _fork(world: World) -> None:
    owner = next(user for user in world.people.everyone.values() if user.id >= 1000)
    world.add_group(owner.username, None, "user")
    project = _quiet(world, "checkout", owner.username)
    origin = next(iter(world.projects.values()))
    project.fork_of, origin.fork_of = origin, project

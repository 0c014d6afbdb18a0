"""Which deployment includes which merge request."""

from __future__ import annotations

import datetime as dt
import random

from apps.metrics.deliveries import Deployed, Included, Landed, Mainline, first_inclusions

START = dt.datetime(2025, 9, 1, tzinfo=dt.UTC)


def at(hours: float) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def deployed(key: str, hours: float, position: int | None, *, made: float | None = None) -> Deployed:
    return Deployed(key, at(hours), at(hours if made is None else made), position)


def included(deployments, landed, commits=()) -> dict[int, tuple[str, bool]]:
    found = first_inclusions(deployments, landed, Mainline(commits))
    return {one.mr_id: (one.key, one.inferred) for one in found}


def test_the_first_deployment_after_the_merge_that_stands_high_enough():
    line = [deployed("a", 1, 5), deployed("b", 2, 3), deployed("c", 3, 9)]
    landed = [Landed(1, at(0), 4), Landed(2, at(1.5), 3), Landed(3, at(1.5), 4), Landed(4, at(0), 10)]
    assert included(line, landed) == {1: ("a", False), 2: ("b", False), 3: ("c", False)}


def test_a_deployment_at_the_very_instant_of_the_merge_includes_it():
    assert included([deployed("a", 1, 5)], [Landed(1, at(1), 5)]) == {1: ("a", False)}


def test_a_release_branch_stands_as_high_as_the_mainline_was_when_its_pipeline_was_made():
    commits = [(at(1), 1), (at(4), 3), (at(2), 2)]
    line = [deployed("branch", 9, None, made=3)]
    landed = [Landed(1, at(0), 2), Landed(2, at(0), 3)]
    assert included(line, landed, commits) == {1: ("branch", True)}


def test_what_was_made_before_the_mainline_began_stands_below_it():
    assert included([deployed("old", 9, None, made=-1)], [Landed(1, at(0), 0)], [(at(1), 1)]) == {
        1: ("old", True)
    }


def test_it_is_what_looking_at_every_pair_tells():
    for seed in range(200):
        rng = random.Random(seed)
        commits = [(at(rng.randint(0, 20)), position) for position in range(1, 12)]
        line = [
            deployed(f"d{n}", rng.randint(0, 20), rng.choice([None, *range(12)]), made=rng.randint(0, 20))
            for n in range(rng.randint(0, 8))
        ]
        landed = [Landed(n, at(rng.randint(0, 20)), rng.randint(0, 12)) for n in range(8)]
        found = {one.mr_id: one for one in first_inclusions(line, landed, Mainline(commits))}
        assert found == {one.mr_id: two for one in landed if (two := plainly(one, line, commits))}, seed


def plainly(one: Landed, line: list[Deployed], commits: list[tuple[dt.datetime, int]]) -> Included | None:
    def height(other: Deployed) -> int:
        below = [position for moment, position in commits if moment <= other.made_at]
        return other.position if other.position is not None else max(below, default=0)

    possible = [other for other in line if other.at >= one.merged_at and height(other) >= one.position]
    if not possible:
        return None
    first = min(possible, key=lambda other: (other.at, other.key))
    return Included(one.mr_id, first.key, first.at, first.position is None)

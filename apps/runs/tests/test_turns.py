"""The order in which workers hear of steps: one huge group does not stand before everybody else."""

import random

from apps.runs.reconcile import Due, in_turns


def steps(*labels: str) -> list[Due]:
    return [Due(number, 1, "collect", False, label) for number, label in enumerate(labels)]


def order(*labels: str) -> list[str]:
    return [step.label for step in in_turns(steps(*labels))]


def test_a_huge_group_yields_to_a_small_one_after_one_project():
    huge = [f"toman/huge/p{number}" for number in range(50)]
    assert order(*huge, "toman/small/a", "toman/small/b")[:5] == [
        huge[0], "toman/small/a", huge[1], "toman/small/b", huge[2],
    ]  # fmt: skip


def test_a_group_gains_nothing_by_having_many_subgroups():
    split = [f"big/sub{number}/p" for number in range(50)]
    assert order(*split, "one/p", "one/q")[:4] == [split[0], "one/p", split[1], "one/q"]


def test_every_step_is_told_once_whatever_the_paths():
    source = random.Random(7)
    names = ["", *("/".join(source.choices("abc", k=source.randint(1, 4))) for _ in range(200))]
    assert sorted(in_turns(steps(*names))) == steps(*names)

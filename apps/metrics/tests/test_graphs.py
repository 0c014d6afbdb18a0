"""The mainline, what it brought in, what contains what, and the longest chain of jobs."""

from __future__ import annotations

import time
from itertools import combinations, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.metrics.graphs import History, Job, longest, mainline, positions, schedule

MERGED = {"m2": ["m1", "b2"], "m1": ["root"], "b2": ["b1"], "b1": ["root"], "root": []}


def test_commits_of_a_branch_stand_where_their_merge_brought_them_in() -> None:
    assert mainline("m2", MERGED) == ["root", "m1", "m2"]
    assert positions("m2", MERGED) == {"root": 1, "m1": 2, "m2": 3, "b1": 3, "b2": 3}


def test_a_fast_forward_puts_every_commit_on_the_mainline() -> None:
    straight = {"c3": ["c2"], "c2": ["c1"], "c1": []}
    assert positions("c3", straight) == {"c1": 1, "c2": 2, "c3": 3}


def test_a_branch_into_which_main_was_merged_brings_only_its_own_commits() -> None:
    local = {"m3": ["m2", "b2"], "b2": ["b1", "m2"], "b1": ["m1"], "m2": ["m1"], "m1": []}
    assert positions("m3", local) == {"m1": 1, "m2": 2, "m3": 3, "b2": 3, "b1": 3}


def test_what_two_merges_could_have_brought_came_with_the_first() -> None:
    shared = {"m3": ["m2", "b2"], "m2": ["m1", "b1"], "m1": [], "b2": ["b1"], "b1": ["m1"]}
    assert positions("m3", shared)["b1"] == 2


def test_a_graph_that_ends_above_the_root_and_an_unknown_head_are_no_error() -> None:
    assert positions("c9", {"c9": ["c8", "x"], "c8": ["gone"]}) == {"c8": 1, "c9": 2}
    assert positions("gone", {"c1": []}) == {}
    assert positions(None, {}) == {}


# Each way of landing a branch of two commits (b1, b2) on a mainline that had r and m.
LANDINGS = {
    "merge commit": ({"r": [], "m": ["r"], "b1": ["r"], "b2": ["b1"], "x": ["m", "b2"]}, "x"),
    "rebased, then a merge commit": ({"r": [], "m": ["r"], "b1": ["m"], "b2": ["b1"], "x": ["m", "b2"]}, "x"),
    "squashed into a merge commit": ({"r": [], "m": ["r"], "s": ["m"], "x": ["m", "s"]}, "x"),
    "squashed and fast-forward": ({"r": [], "m": ["r"], "s": ["m"]}, "s"),
    "fast-forward": ({"r": [], "m": ["r"], "b1": ["m"], "b2": ["b1"]}, "b2"),
    "merged locally, then pushed": ({"r": [], "m": ["r"], "b1": ["r"], "b2": ["b1", "m"]}, "b2"),
    "an octopus": ({"r": [], "m": ["r"], "b1": ["r"], "b2": ["r"], "x": ["m", "b1", "b2"]}, "x"),
}  # fmt: skip
PLACES = {
    "merge commit": {"r": 1, "m": 2, "b1": 3, "b2": 3, "x": 3},
    "rebased, then a merge commit": {"r": 1, "m": 2, "b1": 3, "b2": 3, "x": 3},
    "squashed into a merge commit": {"r": 1, "m": 2, "s": 3, "x": 3},
    "squashed and fast-forward": {"r": 1, "m": 2, "s": 3},
    "fast-forward": {"r": 1, "m": 2, "b1": 3, "b2": 4},
    # The first parent of a local merge is the branch itself: what was the mainline came in by the merge.
    "merged locally, then pushed": {"r": 1, "b1": 2, "b2": 3, "m": 3},
    "an octopus": {"r": 1, "m": 2, "b1": 3, "b2": 3, "x": 3},
}


@pytest.mark.parametrize("way", LANDINGS)
def test_every_way_of_landing_a_branch_gives_its_commits_their_places(way: str) -> None:
    graph, head = LANDINGS[way]
    assert positions(head, graph) == PLACES[way]
    history = History(head, graph)
    assert all(history.reaches(head, commit) for commit in graph)
    assert not any(history.reaches("r", commit) for commit in graph if commit != "r")


def test_a_long_history_is_read_fast_however_it_was_landed() -> None:
    """100,000 commits and as many questions: a walk for each would take hours."""
    merges = {f"m{n}": [f"m{n - 1}", f"b{n}"] for n in range(1, 50_000)}
    graph = {"m0": [], **merges, **{f"b{n}": [f"m{n - 1}"] for n in range(1, 50_000)}}
    begun = time.process_time()
    history = History("m49999", graph)
    assert history.positions["b777"] == 778
    assert sum(history.reaches(f"m{n}", f"b{n + 1}") for n in range(1, 49_999)) == 0
    assert all(history.reaches("m49999", f"b{n}") for n in range(1, 50_000))
    assert time.process_time() - begun < 3


def reaches(start: str, wanted: str, graph: dict[str, list[str]]) -> bool:
    """In plain words: go everywhere."""
    seen, waiting = {start}, [start]
    while waiting:
        new = [parent for parent in graph.get(waiting.pop(), ()) if parent not in seen]
        seen.update(new)
        waiting += new
    return wanted in seen


graphs = st.integers(1, 14).flatmap(
    lambda size: st.tuples(
        *(st.lists(st.integers(0, max(n - 1, 0)), max_size=min(n, 2), unique=True) for n in range(size))
    )
).map(lambda told: {str(n): [str(p) for p in parents] for n, parents in enumerate(told)})  # fmt: skip


@given(graphs)
def test_a_commit_stands_at_the_first_mainline_commit_that_contains_it(graph: dict[str, list[str]]) -> None:
    head = str(len(graph) - 1)
    chain = mainline(head, graph)
    plainly = {}
    for commit in graph:
        holders = [n for n, on_main in enumerate(chain, start=1) if reaches(on_main, commit, graph)]
        if holders:
            plainly[commit] = min(holders)
    assert positions(head, graph) == plainly


@given(graphs, st.data())
def test_a_history_holds_what_going_everywhere_finds(
    graph: dict[str, list[str]], data: st.DataObject
) -> None:
    """Whatever is missing from the graph, and wherever the branch has its head."""
    for gone in data.draw(st.sets(st.sampled_from(sorted(graph)), max_size=3)):
        del graph[gone]
    head = data.draw(st.sampled_from([*sorted(graph), None]))
    history = History(head, graph)
    every = sorted({*graph, *(parent for several in graph.values() for parent in several), "elsewhere"})
    for start in graph:
        assert [to for to in every if history.reaches(start, to)] == [
            to for to in every if reaches(start, to, graph)
        ]


class Attempt(NamedTuple):
    job_id: int
    job: Job
    length_ms: int | None


def stage(job_id: int, name: str, of: str, length: int | None) -> Attempt:
    return Attempt(job_id, Job(name, of, is_dag=False, needs=()), length)


def dag(job_id: int, name: str, of: str, length: int | None, *needs: str) -> Attempt:
    return Attempt(job_id, Job(name, of, is_dag=True, needs=needs), length)


def critical_path(attempts: list[Attempt]) -> int | None:
    ordered = sorted(attempts)
    return longest(schedule([a.job for a in ordered]), [a.length_ms for a in ordered])


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param([], None, id="no job"),
        pytest.param([stage(1, "a", "build", None)], None, id="no job ran"),
        pytest.param(
            [stage(1, "a", "build", 10), stage(2, "b", "build", 30), stage(3, "c", "test", 5)],
            35,
            id="stages",
        ),
        pytest.param(
            [stage(1, "a", "build", 50), stage(4, "a", "build", 10)], 10, id="the last attempt counts"
        ),
        pytest.param(
            [stage(1, "a", "build", 50), stage(4, "a", "build", None)], None, id="which may not have run"
        ),
        pytest.param(
            [stage(1, "a", "build", 10), dag(2, "b", "test", 30), dag(3, "c", "deploy", 5, "a")],
            30,
            id="no needs",
        ),
        pytest.param(
            [stage(1, "a", "build", 10), dag(2, "b", "test", 30, "a"), dag(3, "c", "deploy", 5, "b")],
            45,
            id="needs",
        ),
        pytest.param([dag(2, "b", "test", 30, "skipped")], 30, id="what it needs did not run"),
        pytest.param(
            [dag(1, "a", "build", 10), dag(2, "b", "test", 30), stage(3, "c", "deploy", 5)],
            35,
            id="a stage job waits for dag jobs of earlier stages",
        ),
        pytest.param(
            [stage(5, "late", "build", 10), stage(2, "early", "test", 1), stage(6, "late2", "build", 20)],
            21,
            id="stages in the order of their first job",
        ),
    ],
)
def test_the_critical_path(jobs: list[Attempt], expected: int | None) -> None:
    assert critical_path(jobs) == expected


lengths = st.lists(st.tuples(st.integers(0, 50), st.sets(st.integers(0, 7))), min_size=1, max_size=7)


@given(lengths)
def test_the_critical_path_is_the_longest_of_all_chains(told: list[tuple[int, set[int]]]) -> None:
    jobs = [
        dag(n, f"j{n}", f"s{n}", length, *(f"j{m}" for m in needs if m < n))
        for n, (length, needs) in enumerate(told)
    ]
    chains = [
        chain
        for size in range(1, len(jobs) + 1)
        for chain in combinations(jobs, size)
        if all(before.job.name in after.job.needs for before, after in pairwise(chain))
    ]
    assert critical_path(jobs) == max(sum(job.length_ms or 0 for job in chain) for chain in chains)


def test_jobs_that_wait_for_each_other_do_not_wait_for_ever() -> None:
    assert critical_path([dag(1, "a", "build", 10, "b"), dag(2, "b", "build", 5, "a")]) == 15
    assert critical_path([dag(1, "a", "build", 10, "a")]) == 10

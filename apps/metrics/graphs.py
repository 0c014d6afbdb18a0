"""What is a graph: the mainline, ancestry, the critical path. Pure functions, rows in and rows out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

Parents = Mapping[str, Sequence[str]]


def mainline(head: str | None, parents: Parents) -> list[str]:
    """The first-parent chain down to `head`, oldest first, as far as the commits are known."""
    chain: dict[str, None] = {}
    at = head
    while at is not None and at in parents and at not in chain:
        chain[at] = None
        at = next(iter(parents[at]), None)
    return list(chain)[::-1]


def positions(head: str | None, parents: Parents) -> dict[str, int]:
    """Every commit reachable from `head` with its mainline number, from 1 upwards (METRICS.md section 1).

    A commit that is not on the mainline has the number of the mainline commit that brought it in.
    """
    chain = mainline(head, parents)
    found = {commit: number for number, commit in enumerate(chain, start=1)}
    for number, commit in enumerate(chain, start=1):
        if len(parents[commit]) < 2:
            continue
        waiting = list(parents[commit][1:])
        while waiting:
            brought = waiting.pop()
            if brought in parents and brought not in found:
                found[brought] = number
                waiting.extend(parents[brought])
    return found


class History:
    """The commits of one branch as a history that can be asked; what is in it is worked out once."""

    def __init__(self, head: str | None, parents: Parents) -> None:
        self.parents = parents
        self.chain = frozenset(mainline(head, parents))
        self.positions = positions(head, parents)

    @cached_property
    def _forgotten(self) -> frozenset[str]:
        """Parents that are not known themselves: where the history that was read begins."""
        every = {parent for several in self.parents.values() for parent in several}
        return frozenset(every - self.parents.keys())

    def reaches(self, start: str, wanted: str) -> bool:
        """Whether `wanted` is `start` or in its history, as far as the commits are known.

        The history of mainline commit n is all that has a position up to n: the search ends there.
        """
        goal = self.positions.get(wanted)
        is_known = wanted in self.parents and start not in self.positions
        if goal is None and start != wanted and not is_known and wanted not in self._forgotten:
            return False
        waiting, seen = deque([start]), {start}
        while waiting:
            at = waiting.popleft()
            if at == wanted:
                return True
            if goal is not None and at in self.chain:
                if goal <= self.positions[at]:
                    return True
                continue
            new = [parent for parent in self.parents.get(at, ()) if parent not in seen]
            seen.update(new)
            waiting.extend(new)
        return False


class Job(NamedTuple):
    """One attempt of a job."""

    name: str
    stage: str | None
    is_dag: bool
    needs: Sequence[str]


class Turn(NamedTuple):
    """A job's turn in a schedule: its number among the attempts, and those of the jobs that it waits for."""

    job: int
    waits_for: tuple[int, ...]


def schedule(attempts: Sequence[Job]) -> tuple[Turn, ...]:
    """The last attempt of each job of a pipeline, each after those it waits for. Attempts come by their ids.

    A dag job waits for its needs, any other for all earlier stages; stages come by their first attempt.
    """
    stages = {stage: nth for nth, stage in enumerate(dict.fromkeys(job.stage for job in attempts))}
    last = {job.name: number for number, job in enumerate(attempts)}
    waits: dict[int, tuple[int, ...]] = {}
    for number in last.values():
        job = attempts[number]
        if job.is_dag:
            waits[number] = tuple(last[need] for need in job.needs if need in last)
        else:
            before = (m for m in last.values() if stages[attempts[m].stage] < stages[job.stage])
            waits[number] = tuple(before)
    return tuple(Turn(number, waits[number]) for number in _in_order(waits))


def _in_order(waits: Mapping[int, Sequence[int]]) -> list[int]:
    """Each number after those it waits for. One that waits for itself in the end just takes its turn."""
    done: dict[int, None] = {}
    for root in waits:
        waiting, begun = [root], set()
        while waiting:
            number = waiting[-1]
            missing = [m for m in waits[number] if m not in done and m not in begun]
            begun.add(number)
            if missing and number not in done:
                waiting.extend(missing)
                continue
            done.setdefault(waiting.pop())
    return list(done)


def longest(turns: Iterable[Turn], lengths_ms: Sequence[int | None]) -> int | None:
    """The longest chain of durations in ms; None where no job ran.

    `lengths_ms`: of each attempt; None where it did not start and end, and then nobody waits for it.
    """
    ends: dict[int, int] = {}
    for job, waits_for in turns:
        length = lengths_ms[job]
        if length is not None:
            ends[job] = length + max((ends[other] for other in waits_for if other in ends), default=0)
    return max(ends.values(), default=None)

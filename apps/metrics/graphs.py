"""What is a graph: the mainline, ancestry, the critical path. Pure functions, rows in and rows out."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
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
        waiting = list(parents[commit][1:])
        while waiting:
            brought = waiting.pop()
            if brought in parents and brought not in found:
                found[brought] = number
                waiting.extend(parents[brought])
    return found


def reaches(start: str, wanted: str, parents: Parents) -> bool:
    """Whether `wanted` is `start` or in its history, as far as the commits are known. Mostly it is near."""
    waiting, seen = deque([start]), {start}
    while waiting:
        at = waiting.popleft()
        if at == wanted:
            return True
        new = [parent for parent in parents.get(at, ()) if parent not in seen]
        seen.update(new)
        waiting.extend(new)
    return False


class Job(NamedTuple):
    """One attempt of a job. `length_ms` is None where it did not start and end."""

    job_id: int
    name: str
    stage: str | None
    length_ms: int | None
    is_dag: bool
    needs: Sequence[str]


def critical_path(jobs: Iterable[Job]) -> int | None:
    """The longest chain of job durations of one pipeline, in ms; None where no job ran."""
    attempts = list(jobs)
    stages: dict[str | None, int] = {}
    for job in sorted(attempts, key=lambda j: j.job_id):
        stages.setdefault(job.stage, len(stages))
    last = {job.name: job for job in sorted(attempts, key=lambda j: j.job_id)}
    ran = {name: job for name, job in last.items() if job.length_ms is not None}
    return max(_ends(ran, stages).values(), default=None)


def _ends(ran: Mapping[str, Job], stages: Mapping[str | None, int]) -> dict[str, int]:
    """When each job ends at the earliest. A dag job waits for its needs, any other for all earlier stages."""
    by_stage: dict[int, list[str]] = defaultdict(list)
    for name, job in ran.items():
        by_stage[stages[job.stage]].append(name)
    ends: dict[str, int] = {}

    def waits_for(job: Job) -> list[str]:
        if job.is_dag:
            return [need for need in job.needs if need in ran]
        return [name for stage, names in by_stage.items() if stage < stages[job.stage] for name in names]

    for root in ran:
        waiting, open_ = [root], set()
        while waiting:
            name = waiting[-1]
            missing = [need for need in waits_for(ran[name]) if need not in ends and need not in open_]
            open_.add(name)
            if missing and name not in ends:
                waiting.extend(missing)
                continue
            waiting.pop()
            known = [ends[need] for need in waits_for(ran[name]) if need in ends]
            ends.setdefault(name, (ran[name].length_ms or 0) + max(known, default=0))
    return ends

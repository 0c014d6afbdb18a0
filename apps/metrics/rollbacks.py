"""Which deployments are rollbacks (METRICS.md section 2). Pure: deployments and reverts in, marks out."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Deployment:
    """One production deployment; `position` is its commit's on the mainline, None where it has none."""

    key: str
    at: dt.datetime
    pipeline_id: int | None
    environment: str | None
    position: int | None
    is_tagged: bool


@dataclass(frozen=True)
class Revert:
    """A commit that reverts another: the position at which it came, and that of what it reverts."""

    position: int
    reverted: int


@dataclass(frozen=True)
class Rollback:
    """Why a deployment is a rollback, and which one it undoes (None where it is the first on its line)."""

    signal: str
    undoes: Deployment | None


def rollbacks(
    deployments: Collection[Deployment], reverts: Iterable[Revert], *, within: dt.timedelta
) -> Mapping[str, Rollback]:
    """Deployment key -> its rollback, for those that are one. Each environment is a line of its own."""
    known = list(reverts)
    lines: dict[str | None, list[Deployment]] = defaultdict(list)
    for deployment in sorted(deployments, key=lambda d: (d.at, d.pipeline_id or 0, d.key)):
        lines[deployment.environment].append(deployment)
    found = {}
    for line in lines.values():
        for nth, this in enumerate(line):
            before = line[nth - 1] if nth else None
            earlier = line[nth - 2] if nth > 1 else None
            if signal := _signal(this, before, earlier, known, within):
                found[this.key] = Rollback(signal, before)
    return found


def _signal(
    this: Deployment,
    before: Deployment | None,
    earlier: Deployment | None,
    reverts: list[Revert],
    within: dt.timedelta,
) -> str | None:
    if this.is_tagged:
        return "tagged"
    if before is None or this.at - before.at > within or this.position is None or before.position is None:
        return None
    if this.position < before.position:
        return "older"
    since = 0 if earlier is None else earlier.position
    if since is None:
        return None
    brought = (r for r in reverts if before.position < r.position <= this.position)
    return "reverted" if any(since < r.reverted <= before.position for r in brought) else None

"""Which deployment first brought a merge request to production (METRICS.md section 2, Includes).

A deployment includes a merge request whose landing commit stands at or below it on the mainline. One whose
own commit is not on the default branch (a release branch) stands as high as the mainline did when it was
made.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple


class Deployed(NamedTuple):
    """A production deployment. `made_at`: when its pipeline was made; `position` None: off the mainline."""

    key: str
    at: dt.datetime
    made_at: dt.datetime
    position: int | None


class Landed(NamedTuple):
    """A merge request that was merged into the default branch. `position`: that of its landing commit."""

    mr_id: int
    merged_at: dt.datetime
    position: int


class Included(NamedTuple):
    """A merge request with the deployment that first included it."""

    mr_id: int
    key: str
    at: dt.datetime
    inferred: bool


@dataclass(frozen=True)
class Mainline:
    """How high the mainline had reached at any moment: its commits as (committed_at, position), any order."""

    commits: Sequence[tuple[dt.datetime, int]]

    def heights(self) -> tuple[list[dt.datetime], list[int]]:
        """Moments in order, and the greatest position committed by each."""
        ordered = sorted(self.commits)
        return [at for at, _ in ordered], list(accumulate((position for _, position in ordered), max))


def first_inclusions(
    deployments: Iterable[Deployed], landed: Iterable[Landed], mainline: Mainline
) -> Iterator[Included]:
    """The earliest deployment at or after each merge that includes it; who was never deployed is left out."""
    moments, heights = mainline.heights()

    def height(one: Deployed) -> int:
        if one.position is not None:
            return one.position
        place = bisect_right(moments, one.made_at)
        return heights[place - 1] if place else 0

    line = sorted((one.at, one.key, height(one), one.position is None) for one in deployments)
    instants = [at for at, *_ in line]
    highest_from = list(accumulate((top for _, _, top, _ in reversed(line)), max))[::-1]
    for one in landed:
        place = bisect_left(instants, one.merged_at)
        if place == len(line) or highest_from[place] < one.position:
            continue
        while line[place][2] < one.position:
            place += 1
        at, key, _, inferred = line[place]
        yield Included(one.mr_id, key, at, inferred)

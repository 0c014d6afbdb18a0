"""Time passes: lives of things are generators that yield the instant at which they go on.

Lives go on in strict order of time, so the state at an instant does not depend on how many steps led there.
Each
project has a simulation and a random stream of its own: projects do not influence one another.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator

Life = Generator[int, None, None]


class Simulation:
    """The lives of one project."""

    def __init__(self, start: int) -> None:
        self.now = start
        self._queue: list[tuple[int, int, Life]] = []
        self._number = 0

    def begin(self, life: Life) -> None:
        """Run a life to its first pause, now."""
        self._go_on(life)

    def run_until(self, end: int) -> None:
        """Everything that happens up to and including `end`."""
        queue = self._queue
        while queue and queue[0][0] <= end:
            self.now, _, life = heapq.heappop(queue)
            self._go_on(life)
        self.now = end

    def _go_on(self, life: Life) -> None:
        try:
            moment = next(life)
        except StopIteration:
            return
        self._number += 1
        heapq.heappush(self._queue, (max(moment, self.now), self._number, life))

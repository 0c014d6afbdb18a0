"""Order statistics of many samples on many days at once: which value stands at a rank. Integers only."""

from __future__ import annotations

import numpy as np

from apps.metrics.intervals import Integers

_BLOCK = 16
"""Members counted together. Fewer: more counts to keep; more: more members to look at for each answer."""


class Order:
    """Samples (one a scope) whose members come and go with the days.

    Members stand by scope and value, in blocks of which every one belongs to one scope. Kept is how many
    members stand before each block on each day, so that a rank is found by its block, then within that.
    """

    def __init__(
        self, scope: Integers, value: Integers, enter: Integers, leave: Integers, *, scopes: int, days: int
    ) -> None:
        sizes = np.bincount(scope, minlength=scopes)
        blocks = -(-sizes // _BLOCK)
        self._first = np.concatenate([[0], np.cumsum(blocks)])
        self._days, count = days, int(self._first[-1])
        in_order = np.lexsort((value, scope))
        of = scope[in_order]
        place = self._first[of] * _BLOCK + np.arange(len(of)) - (np.cumsum(sizes) - sizes)[of]
        self._value = np.zeros(count * _BLOCK, dtype=np.int64)
        self._enter, self._leave = (np.zeros(count * _BLOCK, dtype=np.int32) for _ in range(2))
        self._value[place] = value[in_order]
        self._enter[place] = enter[in_order]
        self._leave[place] = leave[in_order]
        change = np.zeros((count, days + 1), dtype=np.int64)
        np.add.at(change, (place // _BLOCK, self._enter[place]), 1)
        np.subtract.at(change, (place // _BLOCK, self._leave[place]), 1)
        before = np.zeros((days, count + 1), dtype=np.int64)
        before[:, 1:] = np.cumsum(np.cumsum(change[:, :days], axis=1), axis=0).T
        self._before = before
        self.n: Integers = (before[:, self._first[1:]] - before[:, self._first[:-1]]).T
        # Days apart by more than any count: then one search serves all of them.
        self._apart = np.arange(days) * (len(scope) + 1)
        self._ascending = (before + self._apart[:, None]).ravel()

    def at(self, rank: Integers, *, where: Integers) -> Integers:
        """The value at each rank (0: the least), by scope and day; 0 except `where` the sample has it."""
        found = np.zeros(rank.shape, dtype=np.int64)
        scope, day = np.nonzero(where)
        if len(scope):
            target = self._before[day, self._first[scope]] + rank[scope, day]
            row = day * self._before.shape[1]
            block = np.searchsorted(self._ascending, target + self._apart[day], side="right") - 1 - row
            found[scope, day] = self._within(block, target - self._before[day, block], day)
        return found

    def _within(self, block: Integers, rank: Integers, day: Integers) -> Integers:
        members = block[:, None] * _BLOCK + np.arange(_BLOCK)
        present = (self._enter[members] <= day[:, None]) & (day[:, None] < self._leave[members])
        reached = np.cumsum(present, axis=1, dtype=np.int8) > rank[:, None]
        return self._value[block * _BLOCK + np.argmax(reached, axis=1)]

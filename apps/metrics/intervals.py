"""How sure a value is: 95 % intervals of ratios and percentiles, from the sample alone.

A ratio has Wilson's interval, which holds for small samples and stays within 0 and 1. A percentile lies
between two members of the sample whose ranks the binomial distribution gives, whatever the distribution of
the values (Conover); a sample too small to bound it on a side says so there.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, lgamma, log, log1p, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]
"""An array of whole numbers (or of truths); integer arrays are int64."""

NONE = int(np.iinfo(np.int64).min)
"""Stands in arrays of integers for what is not known."""

_TAIL = 0.025
_Z = 1.959963984540054


def wilson(successes: Integers, n: Integers) -> tuple[Integers, Integers]:
    """Lower and upper bounds of ratios in ten-thousandths; NONE where n is 0."""
    known = n > 0
    of = np.maximum(n, 1)
    centre = (successes + _Z * _Z / 2) / (of + _Z * _Z)
    spread = _Z * np.sqrt(successes * (1 - successes / of) + _Z * _Z / 4) / (of + _Z * _Z)
    low, high = (
        np.floor(np.clip(bound, 0, 1) * 10_000 + 0.5).astype(np.int64)
        for bound in (centre - spread, centre + spread)
    )
    return np.where(known, low, NONE), np.where(known, high, NONE)


def ranks(n: Integers, *, tenths: int) -> tuple[Integers, Integers]:
    """Ranks (0: the least) of the members that bound a percentile; NONE on a side that no member bounds."""
    sizes, at = np.unique(n, return_inverse=True)
    found = np.array([bounding_ranks(int(size), tenths) for size in sizes], dtype=np.int64).reshape(-1, 2)
    return found[at, 0].reshape(n.shape), found[at, 1].reshape(n.shape)


@lru_cache(maxsize=200_000)
def bounding_ranks(n: int, tenths: int) -> tuple[int, int]:
    """The narrowest ranks that leave at most 2.5 % on each side; NONE on a side where none does.

    The member of rank r (from 0) is above the percentile only if at most r members are below it. How many
    are is binomial, so r is a lower bound where P(at most r) <= 2.5 %; and the same from above.
    """
    below = _last_within(n, tenths / 10)
    above = _last_within(n, 1 - tenths / 10)
    return (NONE if below is None else below), (NONE if above is None else n - 1 - above)


def _last_within(n: int, p: float) -> int | None:
    """The greatest k with P(Binomial(n, p) <= k) <= 2.5 %; None where even 0 is likelier than that."""
    spread = 9 * sqrt(n * p * (1 - p)) + 9  # what lies further out adds nothing that a double could hold
    k = max(0, ceil(n * p - spread) - 1)
    term = _probability(n, k, p)
    total, odds = 0.0, p / (1 - p)
    last = None
    while total + term <= _TAIL and k <= n:
        total += term
        last = k
        term *= odds * (n - k) / (k + 1)
        k += 1
    return last


def _probability(n: int, k: int, p: float) -> float:
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))

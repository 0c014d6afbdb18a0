"""GitLab's limits by endpoint, and which of them a request falls under. A limit is a row.

Beside the budget of the token that every request is charged to, GitLab counts some addresses apart; it tells
these limits in no header. The numbers are those of GitLab.com and of a new server's defaults, the lower one
where they differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` requests in any `window_s` seconds, 0 where only the server can tell.

    `burst`: the share of them that may leave at once after a rest; what a burst takes, the pace lacks.
    """

    name: str
    path: str = ""
    most: int = 0
    window_s: float = MINUTE_S
    burst: float = 0.1


GENERAL = Limit("general", burst=0.01)
NARROW = (
    Limit("jobs", r"/projects/[^/]+/jobs", 600),
    Limit("project", r"/projects/[^/]+", 400),
    Limit("projects", r"/projects", 2000, window_s=600, burst=0.5),
    Limit("groups", r"/groups", 50),
    Limit("group", r"/groups/[^/]+", 400),
    Limit("group projects", r"/groups/[^/]+/projects", 600),
    Limit("members", r"/(?:projects|groups)/[^/]+/members(?:/.*)?", 200),
    Limit("user", r"/users/[^/]+", 300, window_s=600, burst=0.5),
)
_BY_NAME = {limit.name: limit for limit in NARROW}
_ANY = re.compile("|".join(f"(?P<{limit.name.replace(' ', '_')}>{limit.path})" for limit in NARROW))


@lru_cache(maxsize=4096)
def limits_of(path: str) -> tuple[Limit, ...]:
    """Every limit that a request to this path (without /api/v4) is charged to, the general one first."""
    found = _ANY.fullmatch(path)
    return (GENERAL, _BY_NAME[(found.lastgroup or "").replace("_", " ")]) if found else (GENERAL,)

"""What was asked of the demo GitLab, route by route, put together by what it is about."""

from __future__ import annotations

import re

CI, MERGE_REQUESTS, REFUSED = "pipelines and jobs", "merge requests", "among them, refused as a whole"
PARTS = {  # the first that fits
    REFUSED: re.compile(r"^refused_"),
    CI: re.compile(r"jobs|pipeline|bridges", re.IGNORECASE),
    MERGE_REQUESTS: re.compile(r"merge_?request|merge_base|versions|closes", re.IGNORECASE),
    "issues": re.compile(r"issue", re.IGNORECASE),
    "code": re.compile(r"repository|events|signature|commit", re.IGNORECASE),
    "delivery": re.compile(r"deployments|environments|releases|tags"),
    "the server, groups and projects": re.compile(r""),
}


def parts_of(counts: dict[str, int]) -> dict[str, dict[str, int]]:
    """Routes by what they are about, dearest first, without the sums and the statuses."""
    found: dict[str, dict[str, int]] = {name: {} for name in PARTS}
    for route, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        if count and route not in ("requests", "graphql") and not route.startswith("status_"):
            found[next(name for name, pattern in PARTS.items() if pattern.search(route))][route] = count
    found[REFUSED] = found.pop(REFUSED)  # last, for these stand above as well
    return {name: routes for name, routes in found.items() if routes}


def show(parts: dict[str, dict[str, int]]) -> None:
    """Print every part with its routes."""
    for part, routes in parts.items():
        print(f"  {part}: {sum(routes.values()):,}", flush=True)
        for route, count in routes.items():
            print(f"    {count:6,}  {route}", flush=True)

"""What collection costs GitLab: requests per merged MR and per 1,000 jobs, for a backfill and for a night.

Run: python bench/collect_requests.py [--projects 16] [--days 180]. The demo GitLab counts what it is asked,
by route and by name of query. Requests that bring jobs are told against jobs, those that bring merge requests
(lists, approvals, notes, commits, versions, closed issues) against merged MRs. The limit is one page of 100
for all MRs, and one for all pipelines. The bars: 0.5 (stretch 0.15) and 8. Beside them, without a bar,
everything that is not CI (issues, events, commits, branches, deployments, releases, sweeps as well): in a
backfill it grows with the history, in a night with the projects that saw any work.
"""

from __future__ import annotations

import argparse

from stage.gitlab import DAY_S, WEEK, Gitlab, demo_gitlab
from stage.product import Product, product, told
from stage.requests import tell_requests
from stage.routes import parts_of, show


def measured(name: str, tem: Product, gitlab: Gitlab, *, since: str) -> None:
    """Tell the figures of the run that has just ended. `since`: SQL for when the measured time began."""
    counts = gitlab.counts()
    parts = parts_of(counts)
    show(parts)
    tell_requests(name, tem, parts, requests=counts.get("requests", 0), since=since)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=16)
    parser.add_argument("--days", type=int, default=180)
    asked = parser.parse_args()
    with (
        demo_gitlab(projects=asked.projects, days=asked.days) as gitlab,
        product(gitlab.url) as tem,
    ):
        seconds = tem.run("backfill", days=asked.days + WEEK)
        told("backfill", tem, seconds)
        measured("backfill", tem, gitlab, since="'-infinity'")
        evening = gitlab.door("clock")["now"]
        gitlab.door("clock", {"advance_seconds": DAY_S})
        told("nightly", tem, tem.run("nightly"))
        measured("nightly", tem, gitlab, since=f"'{evening}'")


if __name__ == "__main__":
    main()

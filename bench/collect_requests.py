"""What collection costs GitLab: requests per merged MR and per 1,000 jobs, for a backfill and for a night.

Run: python bench/collect_requests.py [--projects 16] [--days 180]. The demo GitLab counts what it is asked,
by route and by name of query. Requests that bring jobs are told against jobs; every other request (issues,
deployments, releases, branches, discovery and sweeps as well) against merged MRs. The limit is one page of
100 for all MRs, and one for all pipelines. The bars: 0.5 (stretch 0.15) and 8.
"""

from __future__ import annotations

import argparse

from stage.figures import tell
from stage.gitlab import DAY_S, WEEK, Gitlab, demo_gitlab
from stage.product import Product, product, told
from stage.routes import CI, parts_of, show

PER_MERGED, STRETCH, PER_1000_JOBS = 0.5, 0.15, 8.0


def measured(name: str, tem: Product, gitlab: Gitlab, *, since: str) -> None:
    """Tell both figures of the run that has just ended. `since`: SQL for when the measured time began."""
    counts = gitlab.counts()
    merged, pipelines, jobs = tem.ask(
        f"select (select count(*) from raw_mr where merged_at >= {since}),"  # noqa: S608  our own words
        f" (select count(*) from raw_pipeline where created_at >= {since}),"
        f" (select count(*) from raw_job where created_at >= {since})"
    )[0]
    parts = parts_of(counts)
    show(parts)
    ci = sum(parts.get(CI, {}).values())
    rest = counts.get("requests", 0) - ci
    more = {"merged": merged, "jobs": jobs, "requests": counts.get("requests", 0), "stretch": STRETCH}
    tell(
        f"{name}, a merged MR", rest / max(merged, 1), "requests", bar=PER_MERGED, limit=0.01,
        what=f"one page for 100 of {merged:,} merged MRs", **more,
    )  # fmt: skip
    tell(
        f"{name}, 1,000 jobs", ci * 1000 / max(jobs, 1), "requests", bar=PER_1000_JOBS,
        limit=pipelines * 10 / max(jobs, 1), what=f"one page for 100 of {pipelines:,} pipelines", **more,
    )  # fmt: skip


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

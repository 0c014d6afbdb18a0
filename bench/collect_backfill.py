"""A backfill under a real server's latency and budget, over the whole stack, told for the reference workload.

Run: python bench/collect_backfill.py [--projects 12] [--days 180]. The reference has 300 projects (half an
hour and more). A run of fewer is told as what the reference would take at its pace: its minutes, times how
many more pipelines and merge requests the reference has. The limit is the requests, likewise, at the pace
that the budget allows. The bar: 40 minutes (stretch 30).
"""

from __future__ import annotations

import argparse

from stage.figures import tell
from stage.gitlab import WEEK, demo_gitlab
from stage.product import COLLECTION, product, told
from stage.routes import parts_of, show

BAR_MIN, STRETCH_MIN = 40.0, 30.0
REFERENCE = 60_000 + 250_000  # merge requests and pipelines of the demo's 300 projects and 180 days


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=12)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--latency-ms", type=int, default=100)
    parser.add_argument("--per-minute", type=int, default=2000)
    parser.add_argument("--workers", type=int, help="default: the product's own")
    asked = parser.parse_args()
    with (
        demo_gitlab(projects=asked.projects, days=asked.days) as gitlab,
        product(gitlab.url, workers=asked.workers) as tem,
    ):
        gitlab.door("limits", {"latency_ms": asked.latency_ms, "per_minute": asked.per_minute})
        seconds = tem.collect("backfill", days=asked.days + WEEK)
        told("backfill", tem, seconds)
        counts, cpu_s = gitlab.counts(), gitlab.cpu_s()
        show(parts_of(counts))
        stored = tem.ask("select (select count(*) from raw_mr) + (select count(*) from raw_pipeline)")[0][0]
        requests = sum(count for name, (_, _, count) in tem.phases().items() if name in COLLECTION)
    times = max(1.0, REFERENCE / stored)
    print(f"  {stored:,} merge requests and pipelines; the reference has {times:.1f} times as many")
    print(f"  {requests / seconds * 60:,.0f} requests a minute; GitLab itself used {cpu_s:.1f} s of CPU")
    tell(
        "backfill of the reference workload", seconds * times / 60, "min", bar=BAR_MIN,
        limit=requests * times / asked.per_minute,
        what=f"{requests * times:,.0f} requests at {asked.per_minute:,} a minute", stretch=STRETCH_MIN,
        measured_s=round(seconds, 1), projects=asked.projects, days=asked.days, requests=requests,
        refused=counts.get("status_429", 0),
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""A night: how long collection takes when one day has changed, under a real server's latency and budget.

Run: python bench/collect_night.py [--projects 300] [--days 10] [--latency-ms 100] [--per-minute 2000].
The whole stack (PostgreSQL, Valkey, a worker) backfills from an unlimited demo GitLab, whose clock then moves
on by a day and which from then on answers late and within a budget; the nightly run is measured. The limit is
its requests at the pace that the budget allows. The bars: 180 s for collection, and 300 s until the run has
ended; that one is of the reference size with `--days 173` (a week more is collected), 180 days to fold.
"""

from __future__ import annotations

import argparse
import time

from stage.figures import tell
from stage.gitlab import DAY_S, WEEK, demo_gitlab
from stage.product import COLLECTION, product, told
from stage.requests import tell_requests
from stage.routes import parts_of, show

BAR_S, END_BAR_S, MINUTE_S = 180.0, 300.0, 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=300)
    parser.add_argument("--days", type=int, default=10, help="of history before the night")
    parser.add_argument("--latency-ms", type=int, default=100)
    parser.add_argument("--per-minute", type=int, default=2000)
    parser.add_argument("--workers", type=int, help="default: the product's own")
    asked = parser.parse_args()
    with (
        demo_gitlab(projects=asked.projects, days=asked.days) as gitlab,
        product(gitlab.url, workers=asked.workers) as tem,
    ):
        told("backfill, unlimited", tem, tem.run("backfill", days=asked.days + WEEK))
        evening = gitlab.door("clock")["now"]
        gitlab.door("clock", {"advance_seconds": DAY_S})
        time.sleep(MINUTE_S)  # or the budget's last minute would be full of a backfill that had no budget
        gitlab.door("limits", {"latency_ms": asked.latency_ms, "per_minute": asked.per_minute})
        gitlab.counts()
        seconds = tem.run("nightly")
        told("nightly", tem, seconds)
        counts = gitlab.counts()
        parts = parts_of(counts)
        show(parts)
        tell_requests("a night", tem, parts, requests=counts.get("requests", 0), since=f"'{evening}'")
        whole = max(ended for _, ended, _ in tem.phases().values())
        requests = sum(count for name, (_, _, count) in tem.phases().items() if name in COLLECTION)
    limit = {"limit": requests * 60 / asked.per_minute,
             "what": f"{requests:,} requests at {asked.per_minute:,} a minute"}  # fmt: skip
    tell(
        "a night's collection", seconds, "s", bar=BAR_S, **limit, projects=asked.projects, days=asked.days,
        latency_ms=asked.latency_ms, refused=counts.get("status_429", 0),
    )  # fmt: skip
    tell("the night, until the run has ended", whole, "s", bar=END_BAR_S, **limit, days=asked.days + WEEK)


if __name__ == "__main__":
    main()

"""How much memory a worker takes to collect one huge project.

Run: python bench/worker_memory.py [--pipelines 10000] [--days 180]; --pipelines 300000 is all of the
reference workload in one project (then the demo GitLab takes two gigabytes itself). One worker process of the
real stack collects it; its peak is the kernel's own (VmHWM), read until the last project is collected. The
limit is what the same process needs for a project with next to nothing in it. The bar: 300 MB.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from stage.figures import tell
from stage.gitlab import WEEK, demo_gitlab
from stage.product import Product, product, told

BAR_MB = 300.0
A_DAY = 3.5  # pipelines of a project at the usual pace


def peak_mb(home: Path) -> float:
    """The largest peak among the worker processes of this home, in MB (MiB); 0 where none is up."""
    mark, found = f"TEM_HOME={home}".encode(), 0.0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"celery" in (folder / "cmdline").read_bytes():
                status = (folder / "status").read_text()
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found = max(found, int(status.split("VmHWM:")[1].split()[0]) / 1024)
        except (OSError, IndexError):
            continue  # it ended while we looked, or belongs to someone else
    return found


def peak_of_backfill(tem: Product, *, days: int) -> float:
    """MB at most while a backfill collects."""
    peak, stack = 0.0, tem.begin("backfill", days=days)
    while stack.poll() is None and not tem.is_collected():
        peak = max(peak, peak_mb(tem.home))
        time.sleep(0.2)
    tem.end("backfill", stack)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=10_000, help="about so many")
    parser.add_argument("--days", type=int, default=180)
    asked = parser.parse_args()
    peaks = []
    for pace in (0.01, asked.pipelines / (A_DAY * asked.days)):
        with (
            demo_gitlab(projects=1, days=asked.days, pace=pace) as gitlab,
            product(gitlab.url, workers=1) as tem,
        ):
            peaks.append(peak_of_backfill(tem, days=asked.days + WEEK))
            told(f"pace {pace:.2f}, {peaks[-1]:.0f} MB", tem, tem.collection_s())
            pipelines, jobs = tem.ask(
                "select (select count(*) from raw_pipeline), (select count(*) from raw_job)"
            )[0]
    tell(
        "peak memory of a worker", peaks[1], "MB", bar=BAR_MB, limit=peaks[0],
        what=f"what it needs anyhow; {pipelines:,} pipelines and {jobs:,} jobs in one project",
        pipelines=pipelines, jobs=jobs,
    )  # fmt: skip


if __name__ == "__main__":
    main()

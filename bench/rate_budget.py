"""How much of a server's request budget several processes use together, and how often they are refused.

Run: python bench/rate_budget.py [--per-minute 600] [--seconds 75] [--processes 2] [--threads 8]. Every thread
asks a demo GitLab for more, as fast as the budget lets it; the demo answers late and refuses what is beyond
its budget. The limit is that budget. The bars: 95 % of it used, no 429, no window of a minute with more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from pathlib import Path

from stage.figures import ROOT, tell
from stage.gitlab import TOKEN, demo_gitlab

BAR = 0.95
OURS = ("TEM_", "GITLAB_", "OIDC_", "TIMEZONE")


def one_process(*, seconds: float, threads: int) -> None:
    """Ask until the time is over; tell when each request left and how many were refused."""
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "tem.settings"
    from apps.collector.client import Client
    from apps.collector.errors import GitlabUnavailable

    client = Client.from_settings()
    left: list[float] = []
    until = time.time() + seconds

    def ask() -> None:
        while time.time() < until:
            try:
                client.get("/version", query={}, decode=lambda body: left.append(time.time()))
            except GitlabUnavailable as given_back:
                time.sleep(min(given_back.retry_after_s, max(0.0, until - time.time())))

    crowd = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    print("\n" + json.dumps({"left": [at for at in left if at < until], "refusals": client.refusals}))


def fullest(times: list[float]) -> int:
    """The most requests in any minute."""
    return max(bisect_left(times, start + 60) - place for place, start in enumerate(times))


def together(
    home: Path, url: str, *, processes: int, seconds: float, threads: int
) -> tuple[list[float], int]:
    """What so many processes did at once: when their requests left, and the refusals."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    variables = {**kept, "TEM_HOME": str(home), "GITLAB_API_URL": url, "GITLAB_API_TOKEN": TOKEN}
    command = [sys.executable, __file__, "--seconds", str(seconds), "--threads", str(threads), "--alone"]
    crowd = [
        subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    told = [json.loads(process.communicate()[0].splitlines()[-1]) for process in crowd]
    return sorted(at for one in told for at in one["left"]), sum(one["refusals"] for one in told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-minute", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--latency-ms", type=int, default=100)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        one_process(seconds=asked.seconds, threads=asked.threads)
        return
    sys.path.insert(0, str(ROOT))
    from tem import embedded

    with (
        tempfile.TemporaryDirectory(prefix="tem-bench-") as folder,
        embedded.running(Path(folder), durable=False),
        demo_gitlab(projects=2, days=2) as gitlab,
    ):
        gitlab.door("limits", {"latency_ms": asked.latency_ms, "per_minute": asked.per_minute})
        times, refusals = together(
            Path(folder), gitlab.url, processes=asked.processes, seconds=asked.seconds, threads=asked.threads
        )
    spent = times[-1] - times[0]
    tell(
        "rate budget in use", len(times) / spent * 60 / asked.per_minute, "of it", bar=BAR, limit=1.0,
        what=f"{asked.per_minute:,} requests a minute", at_least=True,
        per_minute=asked.per_minute, requests=len(times), seconds=round(spent, 1),
        fullest_minute=fullest(times), refusals=refusals, processes=asked.processes,
    )  # fmt: skip
    tell("fullest minute", fullest(times), "requests", bar=asked.per_minute, limit=asked.per_minute,
         what="the server's budget")  # fmt: skip
    tell("refused requests (429)", refusals, "requests", bar=0, limit=0, what="none needed to be")


if __name__ == "__main__":
    main()

"""How fast the demo GitLab serves, over real HTTP, beside what the same server does with an empty answer.

Run: python bench/demo_server.py [--seconds 5] [--projects 16 --days 180]; the reference workload has 300
projects. One server process, one keep-alive connection at a time, so the server has one core and the client
another. The limit is the rate of /version: what HTTP alone allows on this machine now. At last, what 2,000
requests a minute take of a core, were they like the ones measured. The bar: all of it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stage.figures import tell
from stage.gitlab import processor_s

ROOT = Path(__file__).resolve().parent.parent
API = "/api/v4"
ENGINE = f"{API}/projects/toman%2Fexchange%2Ftrading%2Fengine"
LISTS = {
    "merge requests": f"{API}/groups/toman/merge_requests?scope=all&order_by=updated_at&sort=asc",
    "issues": f"{API}/groups/toman/issues?scope=all",
    "pipelines": f"{ENGINE}/pipelines?order_by=updated_at&sort=asc",
    "jobs": f"{ENGINE}/jobs?pagination=offset",
    "deployments": f"{ENGINE}/deployments?order_by=id",
    "commits": f"{ENGINE}/repository/commits?with_stats=true",
    "events": f"{ENGINE}/events?action=pushed",
}
DEEPEST = 12
QUERY = """
query Page($path: ID!, $after: String) { project(fullPath: $path) { pipelines(first: 20, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes { id iid status sha ref createdAt updatedAt startedAt finishedAt duration
    jobs(first: 100) { pageInfo { hasNextPage endCursor }
      nodes { id name kind status retried allowFailure createdAt startedAt finishedAt duration schedulingType
        stage { name } needs(first: 50) { nodes { name } } } } } } } }
"""


def resident_mb(pid: int) -> float:
    """Memory that a process holds now."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


class Client:
    """One connection. `requests`: how many it has made."""

    def __init__(self, port: int) -> None:
        self.requests = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def get(self, path: str) -> bytes:
        self.requests += 1
        self._connection.request("GET", path, headers={"PRIVATE-TOKEN": "demo-token"})
        return self._connection.getresponse().read()

    def graphql(self, variables: dict[str, Any]) -> Any:
        self.requests += 1
        body = json.dumps({"query": QUERY, "variables": variables})
        self._connection.request("POST", "/api/graphql", body, {"Authorization": "Bearer demo-token"})
        return json.loads(self._connection.getresponse().read())["data"]["project"]["pipelines"]


def rate(once: Callable[[int], int], seconds: float) -> float:
    """What `once` counts, a second."""
    done, number, start = 0, 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        done += once(number)
        number += 1
    return done / spent


def main() -> None:
    """Print every figure, the limit of this run, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--projects", default="16")
    parser.add_argument("--days", default="180")
    asked = parser.parse_args()
    seconds, begun = asked.seconds, time.perf_counter()
    command = [sys.executable, "-m", "demo", "--projects", asked.projects, "--days", asked.days]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        print(f"listening after {time.perf_counter() - begun:.2f} s, {resident_mb(server.pid):.0f} MB")
        client = Client(int(line.rsplit(":", 1)[1]))
        built = processor_s(server.pid)
        limit = rate(lambda number: len(client.get("/api/v4/version")) and 1, seconds / 3)
        print(f"limit: {limit:.0f} empty answers/s")
        empty = (processor_s(server.pid) - built) / client.requests
        used, before = processor_s(server.pid), client.requests
        _rest(client, seconds, limit)
        _graphql(client, seconds, limit)
        each = (processor_s(server.pid) - used) / (client.requests - before)
        tell("2,000 requests a minute", each * 2000 / 60, "cores", bar=1.0, limit=empty * 2000 / 60,
             what="as many empty answers", projects=asked.projects, days=asked.days)  # fmt: skip
        print(f"{resident_mb(server.pid):.0f} MB at the end")
    finally:
        server.terminate()
        server.wait()


def _rest(client: Client, seconds: float, limit: float) -> None:
    """Full pages only: read once, as a collector does, and over and over, when answers are kept."""
    full: dict[str, list[str]] = {}
    cold: dict[str, float] = defaultdict(float)
    for name, path in LISTS.items():
        for deep in range(1, DEEPEST + 1):
            address, begun = f"{path}&per_page=100&page={deep}", time.perf_counter()
            rows = client.get(address)
            spent = time.perf_counter() - begun
            if len(json.loads(rows)) < 100:
                break
            cold[name] += spent
            full.setdefault(name, []).append(address)
    addresses = [address for group in full.values() for address in group]
    once = len(addresses) / sum(cold.values())
    again = rate(lambda number: bool(client.get(addresses[number % len(addresses)])), seconds)
    print(f"REST: {once:.0f} pages of 100 a second when first read, {again:.0f} when read again (goal 200);"
          f" {once / limit:.1%} and {again / limit:.1%} of the limit")  # fmt: skip
    for name, group in full.items():
        print(f"  {name}: {len(group) / cold[name]:.0f} when first read ({len(group)} pages)")


def _graphql(client: Client, seconds: float, limit: float) -> None:
    after: list[str | None] = [None]
    answers = 0

    def once(number: int) -> int:
        nonlocal answers
        answers += 1
        page = client.graphql({"path": "toman/exchange/trading/engine", "after": after[0]})
        after[0] = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
        jobs = [job for pipeline in page["nodes"] for job in pipeline["jobs"]["nodes"]]
        return len(page["nodes"]) + len(jobs) + sum(len(job["needs"]["nodes"]) for job in jobs)

    found = rate(once, seconds)
    print(f"GraphQL: {found:.0f} nodes a second (goal 20000: pipelines, jobs and needs) in {answers} answers;"
          f" {answers / seconds / limit:.1%} of the limit")  # fmt: skip


if __name__ == "__main__":
    main()

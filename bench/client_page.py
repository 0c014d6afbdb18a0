"""Processor time that the client spends on a page of 100 merge requests, from its turn to typed rows.

Run: python bench/client_page.py [--pages 400]. Pages come from a demo GitLab over real HTTP; the client has
its budget, its judgement and its decoder, as in a collection. The limit is urllib3 reading the same bytes and
doing nothing with them, in turns with the client. The bar: 1.5 ms.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import urllib3
from stage.figures import ROOT, tell
from stage.gitlab import TOKEN, demo_gitlab

BAR_MS = 1.5
PATH = "/groups/toman/merge_requests"
QUERY = {"scope": "all", "state": "all", "order_by": "updated_at", "sort": "asc", "per_page": 100}
ROUNDS = 4


def cost_ms(once: Callable[[], object], pages: int) -> float:
    """Milliseconds of this process's processor time for one of `pages`."""
    begun = time.process_time()
    for _ in range(pages):
        once()
    return (time.process_time() - begun) * 1000 / pages


def compare(url: str, pages: int) -> tuple[float, float, float]:
    """The client, the client with rows as COPY takes them, and bare reading: each in ms a page."""
    import django

    django.setup()
    from apps.collector.client import Client
    from apps.collector.endpoints import MERGE_REQUESTS
    from apps.collector.harvest import rows_of
    from apps.collector.storing import reader_of
    from apps.collector.tables import given_for

    route = MERGE_REQUESTS.routes[0]
    client, reader = Client(url=url, token=TOKEN), reader_of(route)
    pool = urllib3.PoolManager(maxsize=1)
    address = f"{url}/api/v4{PATH}?{'&'.join(f'{name}={value}' for name, value in QUERY.items())}"

    def read() -> list[object]:
        found: list[object] = client.get(PATH, query=QUERY, decode=reader.rows).value
        return found

    def convert() -> None:
        answer = client.get(PATH, query=QUERY, decode=reader.rows)
        given = given_for(7, now=answer.server_time, server_fields={}, numbers={}, within=frozenset())
        for table in route.tables:
            rows_of(table, [(row, given) for row in answer.value])

    def bare() -> bytes:
        return pool.request("GET", address, headers={"PRIVATE-TOKEN": TOKEN}).data

    if len(read()) != 100:
        sys.exit("the demo GitLab has no full page of merge requests")
    kinds = (read, convert, bare)
    best = [min(costs) for costs in zip(*[[cost_ms(kind, pages) for kind in kinds] for _ in range(ROUNDS)])]  # noqa: B905 # equally long
    return best[0], best[1], best[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100, help="of each kind in each of four rounds")
    pages = parser.parse_args().pages
    sys.path.insert(0, str(ROOT))
    from tem import embedded

    with tempfile.TemporaryDirectory(prefix="tem-bench-") as folder:
        os.environ.update(TEM_HOME=folder, DJANGO_SETTINGS_MODULE="tem.settings")
        with embedded.running(Path(folder), durable=False), demo_gitlab(projects=8, days=60) as gitlab:
            figure, with_rows, limit = compare(gitlab.url, pages)
    print(f"with rows as COPY takes them: {with_rows:.2f} ms")
    tell("client CPU a page of 100", figure, "ms", bar=BAR_MS, limit=limit, what="urllib3 alone",
         with_rows=round(with_rows, 3))  # fmt: skip


if __name__ == "__main__":
    main()

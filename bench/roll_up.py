"""All values of all metrics and scopes over 180 days: computed and stored, then a day more, then on demand.

Run: python bench/roll_up.py [--times 1 3]. The facts of 300 projects are made in a database of its own; with
3 those of three times as many, to see that the time grows with them. The limit is COPY of the same values
into an empty table with the same indexes. The bars: 10 s, 1 s for one more day, 1 s for any window of one
scope over 180 days, 2 GB of memory.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from stage.figures import ROOT, tell
from stage.filled import FIRST, LAST, database, facts, organisation
from stage.gitlab import processor_s

EARLIER = FIRST - dt.timedelta(days=100)
"""A history so long that no window begins before it."""


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def copied() -> float:
    """Seconds that PostgreSQL takes for a COPY of the same values into a table with the same indexes."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy("copy metric_daily to stdout (format binary)") as copy:
            pieces = [bytes(piece) for piece in copy]
        cursor.execute("create table limit_of_it (like metric_daily including indexes)")
        begun = time.perf_counter()
        with cursor.copy("copy limit_of_it from stdin (format binary)") as copy:
            for piece in pieces:
                copy.write(piece)
        spent = time.perf_counter() - begun
        cursor.execute("drop table limit_of_it")
    return spent


def on_demand() -> float:
    """Seconds for the slowest metric over 180 days of the org, in a window that is not stored."""
    from apps.metrics.models import Scope
    from apps.metrics.registry import METRICS
    from apps.metrics.rollup import values_of
    from apps.metrics.words import Window

    org = Scope.objects.get(key="org")
    spent = {}
    for metric in METRICS:
        window = Window.EOD if metric.window is Window.EOD else Window.D90
        asked = {"window": window, "first": FIRST, "last": LAST, "history_from": EARLIER}
        spent[metric.key] = seconds(lambda m=metric, a=asked: values_of(m, org, **a))  # type: ignore[misc]
    slowest = sorted(spent, key=lambda key: -spent[key])[:3]
    print("  slowest on demand: " + ", ".join(f"{key} {spent[key]:.2f} s" for key in slowest))
    return max(spent.values())


def measure(times: int) -> float:
    from django.db import connection

    from apps.metrics.models import MetricDaily
    from apps.metrics.rollup import roll_up

    def rolled(first: dt.date = FIRST) -> int:
        return roll_up(first=first, last=LAST, history_from=EARLIER)

    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        backend = cursor.fetchone()[0]
    begun = time.process_time() + processor_s(backend)
    spent = seconds(rolled)
    processor = time.process_time() + processor_s(backend) - begun
    values, limit, at = MetricDaily.objects.count(), copied(), f"at {times}x"
    if times == 1:
        tell("all daily values, computed and stored", spent, "s", bar=10, limit=limit,
             what=f"COPY of the same {values} values", values=values,
             processor_s=round(processor, 2), load=round(os.getloadavg()[0], 1))  # fmt: skip
    print(
        f"  {at}: {spent:.2f} s for {values} values, {spent / values * 1e6:.2f} µs each; COPY {limit:.2f} s"
    )
    print(f"  {at}: {processor:.2f} s of processors, ours and the backend's; load {os.getloadavg()[0]:.1f}")
    again = seconds(rolled)
    print(f"  {at}: once more, where nothing changed: {again:.2f} s")
    with connection.cursor() as cursor:
        cursor.execute("delete from metric_daily where day = %s", [LAST])
    day = seconds(lambda: rolled(LAST))
    scope = on_demand()
    if times == 1:
        tell("one more day", day, "s", bar=1, limit=limit / 180, what="a 180th of that COPY")
        tell("any window over 180 days for one scope", scope, "s", bar=1, limit=limit / 180, what="the same")
    return spent


def memory_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measured(times: int) -> float:
    """Seconds for the first roll-up of so many histories: in a process and a database of its own."""
    sys.path.insert(0, str(ROOT))
    with database():
        organisation(times=times)
        print(f"filling the facts at {times}x: {seconds(lambda: facts(times=times)):.0f} s")
        before = memory_gb()
        spent = measure(times)
        if times == 1:
            tell("peak memory", memory_gb(), "GB", bar=2, limit=before, what="before the first value")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, nargs="+", default=[1])
    asked = parser.parse_args()
    spent = {}
    for times in asked.times:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            spent[times] = alone.submit(measured, times).result()
    for times in asked.times[1:]:
        grown = spent[times] / spent[asked.times[0]] * asked.times[0]
        print(f"{times}x takes {grown:.1f} times as long")


if __name__ == "__main__":
    main()

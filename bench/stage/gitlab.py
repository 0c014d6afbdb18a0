"""The demo GitLab as a process, and its doors."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stage.figures import ROOT

TOKEN = "bench-token"
DAY_S, WEDNESDAY, WEEK = 86_400, 2, 7


class Gitlab:
    """A running one."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid

    def door(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer of one of the demo's own doors; with a body it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/-/demo/{name}", data, timeout=600) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found

    def counts(self) -> dict[str, int]:
        """Requests by route since the last call."""
        found = self.door("stats")
        self.door("reset-stats", {})
        return found


def before_a_working_day() -> dt.datetime:
    """The last night to a Wednesday that a full day has followed: what runs then sees a usual day next."""
    midnight = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    back = (midnight.weekday() - WEDNESDAY - 1) % 7 + 1
    return midnight - dt.timedelta(days=back) + dt.timedelta(hours=1)


@contextmanager
def demo_gitlab(*, projects: int, days: int, pace: float = 1.0) -> Iterator[Gitlab]:
    """One with `days` of history, in the night before a working day. Its clock moves only when told."""
    command = [
        sys.executable, "-m", "demo", "--port", "0", "--token", TOKEN, "--projects", str(projects),
        "--days", str(days), "--until", before_a_working_day().isoformat(), "--pace", str(pace),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield Gitlab(line.rpartition(" ")[2].strip(), process.pid)
    finally:
        process.terminate()
        process.wait()

"""The demo GitLab as a process, and its doors."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stage.figures import ROOT

TOKEN = "bench-token"
DAY_S, WEDNESDAY, WEEK = 86_400, 2, 7


class Gitlab:
    """A running one."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid, self._built = url, pid, processor_s(pid)

    def door(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer of one of the demo's own doors; with a body it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/-/demo/{name}", data, timeout=600) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found

    def cpu_s(self) -> float:
        """Seconds of processor time that it has used since it began to listen."""
        return processor_s(self.pid) - self._built

    def counts(self) -> dict[str, int]:
        """Requests by route since the last call."""
        found = self.door("stats")
        self.door("reset-stats", {})
        return found


def processor_s(pid: int) -> float:
    """Processor time of a process so far, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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

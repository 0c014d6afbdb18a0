"""The product as its user runs it: `python -m tem.stack once KIND`, in a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from stage.figures import ROOT
from stage.gitlab import TOKEN

COLLECTION = ("discover", "place", "sweep", "collect")
OURS = ("TEM_", "GITLAB_", "OIDC_", "TIMEZONE")


class Product:
    """One installation over one GitLab. `last`: the number of the run that ended last."""

    def __init__(self, home: Path, *, url: str, workers: int | None) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.variables = {**kept, "TEM_HOME": str(home), "GITLAB_API_URL": url, "GITLAB_API_TOKEN": TOKEN}
        if workers:
            self.variables["TEM_MAX_PARALLELISM"] = str(workers)
        self.home, self.last = home, 0
        self._stack: subprocess.Popen[bytes] | None = None

    def manage(self, *words: str) -> None:
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.variables, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def begin(self, kind: str, *, days: int | None = None) -> subprocess.Popen[bytes]:
        """A run in a stack that ends with it."""
        log = (self.home / f"{kind}.log").open("wb")
        command = [sys.executable, "-m", "tem.stack", "once", kind, *(["--days", str(days)] if days else [])]
        self._stack = subprocess.Popen(
            command, cwd=ROOT, env=self.variables, stdout=log, stderr=subprocess.STDOUT
        )
        return self._stack

    def stop(self) -> None:
        """End what still runs."""
        if self._stack and self._stack.poll() is None:
            self._stack.terminate()
            self._stack.wait()
        self.manage("embedded", "down")

    def run(self, kind: str, *, days: int | None = None) -> float:
        """Seconds from the request of a run to the end of its collection. Ends the program if it failed."""
        self.end(kind, self.begin(kind, days=days))
        return self.collection_s()

    def collect(self, kind: str, *, days: int | None = None) -> float:
        """The same of a run that is ended once it has collected: what it would publish is not wanted."""
        stack = self.begin(kind, days=days)
        while stack.poll() is None and not self.is_collected():
            time.sleep(1)
        stack.terminate()
        self.end(kind, stack)
        return self.collection_s()

    def end(self, kind: str, stack: subprocess.Popen[bytes]) -> None:
        """Wait for it. A collection that left something out measures nothing: then the program ends."""
        status = stack.wait()
        self.last = self.ask("select coalesce(max(id), 0) from run")[0][0]
        left_out = self.ask(
            "select phase, label, error_text from run_step where run_id = %s and phase = any(%s)"
            " and state <> 'done'",
            self.last, list(COLLECTION),
        )  # fmt: skip
        if left_out or not self.is_collected():
            words = (self.home / f"{kind}.log").read_text(errors="replace")[-1500:]
            sys.exit(f"{words}\n{kind} ended with status {status}\n{left_out[:5]}")
        if status:
            print(f"  {kind} ended with status {status}, but it had collected everything", flush=True)

    def is_collected(self) -> bool:
        """Whether a run has closed its collection (before the first run: no)."""
        try:
            counts = self.ask(
                "select count(*), count(*) filter (where state not in ('pending', 'leased')) from run_step"
                " where phase = 'collect' and run_id = (select max(id) from run)"
            )
        except psycopg.errors.UndefinedTable:
            return False
        return bool(counts[0][0]) and counts[0][0] == counts[0][1]

    def collection_s(self) -> float:
        """From the request of the last run until nothing more was to be collected."""
        return float(self.ask(
            "select extract(epoch from max(s.finished_at) - r.requested_at)::float8 from run r"
            " join run_step s on s.run_id = r.id where r.id = %s and s.phase = any(%s) group by r.id",
            self.last, list(COLLECTION),
        )[0][0])  # fmt: skip

    def phases(self) -> dict[str, tuple[float, float, int]]:
        """When each phase of the last run began and ended, in seconds from its request, and its requests."""
        rows = self.ask(
            "select s.phase, extract(epoch from min(s.started_at) - r.requested_at)::float8,"
            " extract(epoch from max(s.finished_at) - r.requested_at)::float8, sum(s.requests)::int8"
            " from run r join run_step s on s.run_id = r.id where r.id = %s"
            " group by s.phase, r.requested_at order by 3",
            self.last,
        )
        return {phase: (began or 0.0, ended or 0.0, requests) for phase, began, ended, requests in rows}

    def stumbles(self) -> list[tuple[str, str, int, str]]:
        """Phase, label, attempts and last error of the last run's steps that did not go well at once."""
        return self.ask(  # type: ignore[return-value]
            "select phase, label, attempt, error_class || ' ' || error_text from run_step"
            " where run_id = %s and (attempt > 1 or error_class <> '') order by id",
            self.last,
        )

    def ask(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows from the product's database."""
        url = json.loads((self.home / "embedded.json").read_text())["PostgreSQL"]["url"]
        with psycopg.connect(url) as connection:
            return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]


@contextmanager
def product(url: str, *, workers: int | None = None) -> Iterator[Product]:
    """A fresh installation whose services stay up from run to run; all of it goes in the end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that everything below is taken down
    with tempfile.TemporaryDirectory(prefix="tem-bench-") as folder:
        made = Product(Path(folder), url=url, workers=workers)
        made.manage("embedded", "up")
        try:
            yield made
        finally:
            made.stop()


def told(name: str, made: Product, seconds: float) -> None:
    """The phases of the last run, for whoever wonders where the time went."""
    print(f"{name}: {seconds:.1f} s until the end of collection", flush=True)
    for phase, (began, ended, requests) in made.phases().items():
        print(f"  {phase:9} {began:7.1f} to {ended:7.1f} s, {requests:,} requests", flush=True)
    for phase, label, attempts, error in made.stumbles():
        print(f"  {phase} {label} was tried {attempts} times: {error[:200]}", flush=True)

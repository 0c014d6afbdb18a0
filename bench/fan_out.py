"""What the ledger adds to a run: 300 steps that do nothing, fanned out to real workers and in again.

Run: python bench/fan_out.py [--steps 300] [--rounds 3]. Seconds from the request of a run until it is
finalised, the best of the rounds, with one worker of min(8, cores) processes and services of its own. The
limit is as many bare messages through the same worker, in the same run. The bar: 1 s for 300 steps.
"""

# ruff: noqa: E402 (a program of bench/ finds the product only by its path)
from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from tem import embedded

BAR_S = 1.0
QUEUES = "collect,compute,export,ops"
QUIET = ("--without-gossip", "--without-mingle", "--loglevel", "ERROR")
WORKER = ("-m", "celery", "-A", "stage.idle", "worker", "-Q", QUEUES, *QUIET)


@contextmanager
def worker() -> Iterator[None]:
    """One worker over the installation of the environment, up and answering."""
    from tem.hints import has_worker

    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'bench'}",
                 "REMAP_SIGTERM": "SIGQUIT"}  # fmt: skip
    process = subprocess.Popen([sys.executable, *WORKER], cwd=ROOT, env=variables)
    try:
        if not has_worker(within_s=60):
            sys.exit("no worker came up")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit("it did not end within two minutes")
        time.sleep(0.01)


def bare_s(steps: int) -> float:
    """As many messages that carry ids and do nothing, until the last was taken."""
    from stage.idle import app, bare_task

    from tem import hints

    began = time.monotonic()
    for number in range(steps):
        bare_task.apply_async(kwargs={"run_id": 0, "step_id": number}, queue="collect")
    with app.connection_for_read() as link:
        wait_until(lambda: hints.waiting("collect", link=link) == 0)
    return time.monotonic() - began


def run_s(slot: str) -> float:
    """From the request of a run until it is finalised, by the ledger's own clock."""
    from stage.idle import KIND

    from apps.runs.ledger import open_run
    from apps.runs.models import Run
    from tem import clock, pipeline

    run = open_run(KIND, slot=slot, parameters={"scheduled": False}, now=clock.now())
    pipeline.move_on(run.pk, kind=KIND)
    wait_until(lambda: Run.objects.filter(pk=run.pk).exclude(state="active").exists())
    run.refresh_from_db()
    again = run.steps.exclude(state="done", attempt=1, fence=1).count()
    if run.state != "done" or again:
        sys.exit(f"run {run.state}: {run.reason}; {again} steps were not done at the first claim")
    assert run.finished_at
    return float((run.finished_at - run.requested_at).total_seconds())


def measured(*, steps: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of the runs and of the bare messages, taken in turn; a first round of each warms up."""
    import stage.idle  # noqa: F401  (sets Django up, over the environment of now)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    with worker():
        pairs = [(run_s(f"round {number}"), bare_s(steps)) for number in range(rounds + 1)][1:]
    return [run for run, _ in pairs], [bare for _, bare in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("TEM_", "GITLAB_", "OIDC_", "TIMEZONE"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="tem-bench-") as folder:
        os.environ |= {"TEM_HOME": folder, "TEM_BENCH_STEPS": str(asked.steps)}
        with embedded.running(Path(folder)):
            from stage.figures import tell

            runs, bare = measured(steps=asked.steps, rounds=asked.rounds)
            tell(
                f"fan-out and fan-in of {asked.steps} steps", min(runs), "s", bar=BAR_S, limit=min(bare),
                what=f"as many bare messages; rounds {', '.join(f'{run:.2f}' for run in runs)}",
                steps=asked.steps,
            )  # fmt: skip


if __name__ == "__main__":
    main()

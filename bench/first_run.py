"""From a fresh clone to an open dashboard, as a new user has it, and the backfill inside it.

Run: python bench/first_run.py. Clones this checkout's HEAD into a folder of its own and says
`make demo SERVE=0` there. The limit of the backfill is the time in which the same demo GitLab, asked by one
connection and with nothing stored, answers as many pages of 100 as the backfill made requests.
The bars: 90 s and 30 s.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BARS = {"clone to open dashboard": 90.0, "backfill": 30.0}
PAGE = "/api/v4/projects/toman%2Fexchange%2Ftrading%2Fengine/jobs?per_page=100"


def first_run(folder: Path) -> tuple[float, float, int]:
    """Seconds from clone to dashboard, seconds of the run, requests of the run."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("TEM_", "GITLAB_"))
    }
    start = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    ended = subprocess.run(
        ["make", "demo", "SERVE=0"], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    total = time.perf_counter() - start
    if ended.returncode:
        sys.exit(f"make demo failed:\n{ended.stdout}{ended.stderr}")
    requests, minutes, seconds = re.findall(
        r"check 1/1 \| [\d,]+ rows, ([\d,]+) requests, (?:(\d+) min )?(\d+) s", ended.stdout
    )[-1]
    return total, int(minutes or 0) * 60 + int(seconds), int(requests.replace(",", ""))


def bare_reading(python: Path, requests: int) -> float:
    """Seconds in which the demo GitLab answers so many pages of 100 jobs."""
    command = [str(python), "-m", "demo", "--port", "0", "--token", "bench"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        start = time.perf_counter()
        for _ in range(requests):
            connection.request("GET", PAGE, headers={"PRIVATE-TOKEN": "bench"})
            connection.getresponse().read()
        return time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="tem-first-run-")) / "tem"
    try:
        total, run, requests = first_run(folder)
        limit = bare_reading(folder / ".venv" / "bin" / "python", requests)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
    for name, figure in (("clone to open dashboard", total), ("backfill", run)):
        print(f"{name}: {figure:.1f} s (bar {BARS[name]:.0f} s, {figure / BARS[name]:.0%} of it)")
    print(
        f"limit: {requests} pages read bare in {limit:.1f} s; the backfill takes {run / limit:.1f} times that"
    )


if __name__ == "__main__":
    main()

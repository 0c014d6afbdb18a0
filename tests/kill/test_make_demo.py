"""`make demo`, killed at any moment by anybody's number, leaves nothing; afterwards it works. Seeded."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tem.environment import CHECKOUT
from tem.processes import PROC, family, marked, standing_in

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not PROC.is_dir() or not shutil.which("make"), reason="needs Linux and make"),
]
SEED = int(os.environ.get("SOAK_SEED", "20251123"))
KILLS = int(os.environ.get("SOAK_KILLS", "12"))
LONGEST_S, PATIENCE_S = 30.0, 10.0


def start(home: Path, *words: str) -> subprocess.Popen[bytes]:
    variables = {
        name: value for name, value in os.environ.items() if name not in ("TEM_STACK_ID", "MAKELEVEL")
    }
    with (home / "make.log").open("ab") as log:
        return subprocess.Popen(
            ["make", "demo", *words],
            cwd=CHECKOUT,
            env={**variables, "TEM_HOME": str(home)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def left(home: Path) -> set[int]:
    """Whatever lives in the home that this test made."""
    inside = home / "demo"
    services = standing_in(inside / "postgres") | standing_in(inside / "valkey")
    return marked(f"TEM_HOME={home}") | marked(f"TEM_HOME={inside}") | services


def until(is_so: Callable[[], bool], *, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


@pytest.mark.timeout(1800)
def test_killed_demo_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    print(f"SOAK_SEED={SEED}")
    dice = random.Random(SEED)
    for turn in range(KILLS):
        make = start(tmp_path)
        moment, victim_is_make = dice.uniform(0.1, LONGEST_S), dice.random() < 0.4
        try:
            make.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            victims = sorted(family({make.pid}) | left(tmp_path))
            victim = make.pid if victim_is_make else dice.choice(victims)
            name = (PROC / str(victim) / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:90]
            print(f"{turn}: after {moment:.1f} s: kill -9 of {name}")
            os.kill(victim, signal.SIGKILL)
        # A pool process or a database backend is replaced; then the stack lives on, and is asked to end.
        if not until(lambda: not left(tmp_path), patience_s=PATIENCE_S):
            assert make.poll() is None, f"make is gone, these are not: {left(tmp_path)}"
            make.terminate()
        make.wait(timeout=60)
        assert until(lambda: not left(tmp_path), patience_s=PATIENCE_S), left(tmp_path)
    assert start(tmp_path, "SERVE=0").wait(timeout=300) == 0
    assert until(lambda: not left(tmp_path), patience_s=PATIENCE_S)
    assert list((tmp_path / "demo" / "exports" / "daily").glob("*.json"))

"""Whoever is killed, nothing of a stack stays behind, and the next start works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tem import embedded
from tem.environment import CHECKOUT
from tem.processes import PROC, marked, standing_in

pytestmark = [
    pytest.mark.skipif(not PROC.is_dir(), reason="the kernel's part of this is Linux only"),
    pytest.mark.xdist_group("kill"),
]
PATIENCE_S = 8.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all cases: what one case breaks, the next one has to heal."""
    return tmp_path_factory.mktemp("home")


class Stack:
    """A running light stack, and what is left of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        command = [sys.executable, "-m", "tests.kill.light_stack", str(home)]
        self.owner = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.owner.stdout
        line = self.owner.stdout.readline()
        self.pids: dict[str, Any] = json.loads(line) if line else {}
        assert self.pids, self.owner.stderr and self.owner.stderr.read()

    def left(self) -> set[int]:
        """Every process of this stack, and of the services in its home, that still runs."""
        services = standing_in(self.home / "postgres") | standing_in(self.home / "valkey")
        return marked(f"TEM_STACK_ID={self.pids['id']}") | services | self._keepers()

    def _keepers(self) -> set[int]:
        found = embedded.status(self.home)
        return {found.keeper.pid} if found else set()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        os.kill(self.owner.pid if name == "owner" else self.pids[name], number)


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    running = Stack(home)
    yield running
    running.owner.kill()
    running.owner.wait()
    for stream in (running.owner.stdout, running.owner.stderr):
        if stream:
            stream.close()
    assert until(lambda: not running.left())


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def test_running_stack_is_seen_by_the_search(stack: Stack) -> None:
    """Or else "nothing is left" would be true of everything."""
    services = {stack.pids["PostgreSQL"], stack.pids["Valkey"], stack.pids["keeper"]}
    members = {stack.pids["watchdog"], stack.pids["stubborn"]}
    assert services | members < stack.left()
    assert len(marked(f"TEM_STACK_ID={stack.pids['id']}") - members) >= 1  # the child that left the session


def test_killed_owner_leaves_nothing(stack: Stack) -> None:
    stack.kill("owner")
    assert until(lambda: not stack.left())


def test_asked_owner_ends_everything_before_itself(stack: Stack) -> None:
    stack.kill("owner", signal.SIGTERM)
    assert stack.owner.wait(timeout=PATIENCE_S) == 0
    assert not stack.left()


@pytest.mark.parametrize("name", ["watchdog", "stubborn", "keeper", "PostgreSQL", "Valkey"])
def test_killed_part_ends_the_stack_by_name(stack: Stack, name: str) -> None:
    stack.kill(name)
    assert stack.owner.wait(timeout=PATIENCE_S) == 1
    assert until(lambda: not stack.left())
    assert stack.owner.stderr
    words = stack.owner.stderr.read()
    assert f"{name} was killed by" in words or (name == "keeper" and "the keeper ended" in words)


def test_owner_and_watchdog_killed_together_leave_no_member(stack: Stack) -> None:
    """Then only the kernel's tie is left: it ends the members and, by their lock, the services."""
    stack.kill("watchdog", signal.SIGSTOP)
    stack.kill("owner")
    stack.kill("watchdog")
    members = {stack.pids[name] for name in ("stubborn", "keeper", "PostgreSQL", "Valkey")}
    assert until(lambda: not stack.left() & members)
    for pid in marked(f"TEM_STACK_ID={stack.pids['id']}"):
        os.kill(pid, signal.SIGKILL)  # the one that left its session had nobody left to end it

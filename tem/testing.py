"""The pytest plugin that gives the tests services of their own, before Django reads its settings.

Nothing of the caller's environment reaches the tests: their home is `.tem/test` (or
TEM_TEST_HOME), their PostgreSQL does not sync to disk, and no address or token is inherited.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Generator
from pathlib import Path
from typing import IO

import pytest
from _pytest.nodeid import coerce_node_id

from tem import embedded
from tem.environment import CHECKOUT

OURS = ("TEM_", "GITLAB_", "OIDC_", "TIMEZONE")
_locks: list[IO[str]] = []  # open until we end


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """Run around pytest-django's own hook, which imports the settings."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        home = free_home(Path(os.environ.get("TEM_TEST_HOME") or CHECKOUT / ".tem" / "test").absolute())
        for name in [name for name in os.environ if name.startswith(OURS) and name != "TEM_STACK_ID"]:
            del os.environ[name]
        os.environ["TEM_HOME"] = str(home)
        embedded.hold(home, durable=False)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give groups to pytest-xdist 3.8, which writes an item's id where pytest 9.2 does not look."""
    for item in items:
        if grouped := vars(item).get("_nodeid"):
            item._id = coerce_node_id(grouped)


def free_home(first: Path) -> Path:
    """`first`, or `first-2` and so on while another test run is using that: databases have fixed names."""
    for number in itertools.count(1):
        home = first if number == 1 else first.with_name(f"{first.name}-{number}")
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "tests.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _locks.append(lock)
        return home
    raise AssertionError("unreachable")

"""The pytest plugin that gives the tests services of their own, before Django reads its settings.

Nothing of the caller's environment reaches the tests: their home is `.tem/test` (or
TEM_TEST_HOME), their PostgreSQL does not sync to disk, and no address or token is inherited.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tem import embedded
from tem.environment import CHECKOUT

OURS = ("TEM_", "GITLAB_", "OIDC_", "TIMEZONE")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """Run around pytest-django's own hook, which imports the settings."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        home = Path(os.environ.get("TEM_TEST_HOME") or CHECKOUT / ".tem" / "test").absolute()
        for name in [name for name in os.environ if name.startswith(OURS) and name != "TEM_STACK_ID"]:
            del os.environ[name]
        os.environ["TEM_HOME"] = str(home)
        embedded.hold(home, durable=False)
    return (yield)

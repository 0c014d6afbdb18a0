"""Fixtures of the collector's tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.collector.client import Client
from apps.collector.tests.server import FakeGitlab, serving

TOKEN = "glpat-canary-7f3a"


@pytest.fixture
def gitlab() -> Iterator[FakeGitlab]:
    with serving(FakeGitlab()) as fake:
        yield fake


@pytest.fixture
def client_of(gitlab: FakeGitlab) -> Callable[..., Client]:
    def make(**options: Any) -> Client:
        return Client(**{"url": gitlab.url, "token": TOKEN, "first_wait_s": 0.001, **options})

    return make


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of()

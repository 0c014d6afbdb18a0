"""Fixtures of the collector's tests."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from apps.collector.budget import Budget
from apps.collector.client import Client
from apps.collector.tests.server import FakeGitlab, serving

TOKEN = "glpat-canary-7f3a"


@pytest.fixture
def gitlab() -> Iterator[FakeGitlab]:
    with serving(FakeGitlab()) as fake:
        yield fake


@pytest.fixture
def budget_of() -> Callable[..., Budget]:
    """A budget of its own for each test, whose minutes are over in no time."""

    def make(**options: Any) -> Budget:
        key = f"{settings.TEM_REDIS_PREFIX}test:{uuid.uuid4()}"
        return Budget(
            **{"key": key, "redis_url": settings.TEM_REDIS_URL, "parallelism": 1, "window_s": 0.01, **options}
        )

    return make


@pytest.fixture
def client_of(gitlab: FakeGitlab, budget_of: Callable[..., Budget]) -> Callable[..., Client]:
    def make(**options: Any) -> Client:
        given = {"url": gitlab.url, "token": TOKEN, "first_wait_s": 0.001, **options}
        return Client(**{"budget": budget_of(), **given})

    return make


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of()

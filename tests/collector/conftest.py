"""One company whose clock stands still, what a calm night collects of it, and a line to it that breaks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from apps.collector.budget import Budget
from apps.collector.client import Client
from tests.collector.collecting import LEDGER, collected_from_nothing, discovered, through
from tests.collector.line import Line, line_to
from tests.company.company import TOKEN, Company, company, content, forget

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+")


@pytest.fixture(scope="session")
def still() -> Iterator[Company]:
    """A company whose clock nobody moves."""
    with company(projects=4, days=4, mixed=False, **{"--pace": "5"}) as running:
        yield running


@pytest.fixture
def line(still: Company) -> Iterator[Line]:
    with line_to(still.url) as open_line:
        yield open_line


@pytest.fixture(scope="session")
def client_to() -> Callable[..., Client]:
    """Clients that soon give up, with a budget of their own whose minutes are over in no time."""

    def make(url: str, **options: Any) -> Client:
        key = f"{settings.TEM_REDIS_PREFIX}test:{uuid.uuid4()}"
        budget = Budget(key=key, redis_url=settings.TEM_REDIS_URL, parallelism=1, window_s=0.01)
        given = {"token": TOKEN, "first_wait_s": 0.0005, "patience_s": 0.015, "budget": budget, **options}
        return Client(url=url, **given)

    return make


@pytest.fixture(scope="session")
def calm(
    still: Company, client_to: Callable[..., Client], django_db_setup: None, django_db_blocker: Any
) -> dict[str, set[str]]:
    """The content of the raw tables after a collection that nothing disturbed."""
    with django_db_blocker.unblock(), transaction.atomic():
        found = collected_from_nothing(client_to(still.url))
        transaction.set_rollback(True)
    return found


@pytest.fixture(scope="session")
def whole(
    still: Company, client_to: Callable[..., Client], django_db_setup: None, django_db_blocker: Any
) -> dict[str, set[str]]:
    """What there is to know of one project."""
    with django_db_blocker.unblock(), transaction.atomic():
        forget()
        client = client_to(still.url)
        discovered(client)
        assert through(client, LEDGER)[0] == ""
        found = content()
        transaction.set_rollback(True)
    return found


@pytest.fixture
def begun(line: Line, client_to: Callable[..., Client]) -> Client:
    """Discovery is over when it happens."""
    client = client_to(line.url)
    assert LEDGER in discovered(client)
    line.calm()
    return client


@pytest.fixture
def no_secret_anywhere(
    db: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Whatever went wrong: no token and no address in a log or in a table."""
    yield
    told = caplog.text + "".join(capfd.readouterr())
    assert TOKEN not in told
    assert not ADDRESS.search(told)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'select count(*) from "{table}" t where t::text like %s or t::text ~ %s',
                [f"%{TOKEN}%", r"\w@[\w-]+\.\w"],
            )
            assert cursor.fetchone() == (0,), f"a secret stands in {table}"

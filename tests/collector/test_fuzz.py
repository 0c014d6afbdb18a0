"""Thousands of bad rows for every list: none crashes a collection, each is stored or in the quarantine, and
what is stored can be read."""

from __future__ import annotations

import datetime as dt
import json
import random
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction

from apps.collector import models
from apps.collector.endpoints import ENDPOINTS, PROJECTS, Endpoint
from apps.collector.graph import Graph
from apps.collector.reading import Page
from apps.collector.rest import Rest
from apps.collector.storing import reader_of, store
from apps.collector.tables import given_for
from apps.collector.tests.builders import at
from tests.collector import soaking
from tests.collector.collecting import LEDGER, through
from tests.collector.fuzzing import encoded, mutated, no_row, with_bad_key
from tests.collector.line import Asked, Reply
from tests.company.company import CONTENT, TOKEN, UNTIL, Company

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("demo company")]

PAGE = 100
LISTS = [PROJECTS, *(one for one in ENDPOINTS if type(one.routes[0].source) in (Rest, Graph))]
SPARE: dict[str, dict[str, Any]] = {  # the company has none of these
    "tags": {"name": "v1", "target": "c1", "commit": {"id": "c1", "committed_date": at(1)}},
    "happened": {"id": 1, "target_id": 2, "action_name": "closed", "created_at": at(1),
                 "author_id": 3, "author": {"id": 3, "username": "ben", "name": "Ben", "state": "active"}},
    "releases": {"tag_name": "v1", "released_at": at(2), "created_at": at(2), "commit": {"id": "c1"},
                 "author": {"id": 1, "username": "ann", "name": "Ann", "state": "active"}},
}  # fmt: skip


def good_rows(company: Company, endpoint: Endpoint) -> list[dict[str, Any]]:
    """A page of the company's."""
    spare = "happened" if endpoint.name.endswith(("_closed", "_reopened")) else endpoint.name
    if spare in SPARE:
        return [SPARE[spare]]
    path = endpoint.routes[0].source.path.format(project_id=LEDGER, group="toman%2Fcore")
    query = "&".join(
        f"{name}={value}" for name, value in getattr(endpoint.routes[0].source, "query", {}).items()
    )
    address = f"{company.url}/api/v4{path}?{query}&with_stats=true&per_page=30"
    asked = urllib.request.Request(address, headers={"PRIVATE-TOKEN": TOKEN})  # noqa: S310  # ours
    with urllib.request.urlopen(asked, timeout=30) as found:  # noqa: S310  # ours
        rows: list[dict[str, Any]] = json.load(found)
    return rows


def key_of(endpoint: Endpoint) -> str:
    """The attribute of a row that is its key."""
    table = endpoint.main
    return table.fields[table.key[-1]].paths[0].partition(".")[0]


def bad_page(rng: random.Random, rows: list[dict[str, Any]], key: str, first: int) -> list[Any]:
    """Rows of which most have something wrong; `first` and what follows tells them apart."""
    page = []
    for number in range(first, first + PAGE):
        good = rng.choice(rows)
        marked: Any = {**good, key: number if isinstance(good[key], int) else f"{number}"}
        act = rng.random()
        if act < 0.8:
            marked = mutated(rng, marked, keep=key)
        elif act < 0.9:
            marked = with_bad_key(rng, marked, key=key, number=number)
        elif act < 0.95:
            marked = no_row(rng, number)
        page.append(marked)
    return page


def put(endpoint: Endpoint, page: list[Any]) -> tuple[int, int]:
    """Store a page as a collection does; answers how many rows are new in the table and in the quarantine."""
    route, name = endpoint.routes[0], endpoint.main.name
    given = given_for(LEDGER, now=UNTIL, server_fields={}, numbers={}, within=frozenset())
    before = endpoint.main.into.objects.count(), models.Quarantine.objects.filter(entity=name).count()
    documents = [(row, given) for row in reader_of(route).rows(encoded(page))]
    with transaction.atomic():
        store(route, Page(documents, UNTIL), project_id=LEDGER, endpoint=endpoint.name)
    after = endpoint.main.into.objects.count(), models.Quarantine.objects.filter(entity=name).count()
    return after[0] - before[0], after[1] - before[1]


def read_back() -> None:
    """Every row of every table, by plain SQL and by the models."""
    with connection.cursor() as cursor:
        for model in (*CONTENT, models.Quarantine):
            assert len(list(model.objects.all())) == model.objects.count()
            cursor.execute(f"select * from {model._meta.db_table}")
            cursor.fetchall()


def fuzz(company: Company, *, many: int, seed: int) -> Counter[str]:
    """So many rows over all lists; answers what became of them."""
    rng, counts = random.Random(seed), Counter(seed=seed)
    pages = max(1, many // PAGE // len(LISTS) + 1)
    for endpoint in LISTS:
        rows, key = good_rows(company, endpoint), key_of(endpoint)
        assert rows, endpoint.name
        for number in range(pages):
            first = 10**9 + number * PAGE
            page = bad_page(rng, rows, key, first)
            stored, refused = put(endpoint, page)
            if endpoint.main.skips is None:  # else a part of the rows is none of this table
                assert stored + refused == PAGE, f"seed {seed}, {endpoint.name}, page {number}"
            counts["sent"] += PAGE
            counts["stored"] += stored
            counts["quarantined"] += refused
        read_back()
        endpoint.main.into.objects.all().delete()
        models.Quarantine.objects.all().delete()
    return counts


def test_every_bad_row_is_stored_or_quarantined_and_readable(still):
    counts = fuzz(still, many=5_000, seed=1)
    assert counts["sent"] >= 5_000
    assert counts["stored"] > 1_000
    assert counts["quarantined"] > 1_000


def spoiled(rng: random.Random, share: float) -> Callable[[Asked, Reply], Reply]:
    """Answers of which some have rows, details or nodes with something wrong in them, at any depth."""

    def strike(value: Any) -> Any:
        if isinstance(value, list):
            return [mutated(rng, one, keep="") if rng.random() < 0.1 else strike(one) for one in value]
        return {name: strike(one) for name, one in value.items()} if isinstance(value, dict) else value

    def spoil(asked: Asked, reply: Reply) -> Reply:
        if reply.status != 200 or rng.random() > share:
            return reply
        return replace(reply, body=encoded(strike(json.loads(reply.body))))

    return spoil


@pytest.mark.parametrize("by_rest", [False, True], ids=["graphql", "rest"])
def test_no_bad_answer_stops_a_collection(line, begun, by_rest):
    line.spoil = spoiled(random.Random(1), share=0.4)
    if by_rest:
        line.instead = lambda asked: Reply(404, b"{}") if asked.is_graphql else None
    since = UNTIL - dt.timedelta(days=1 if by_rest else 10)
    assert through(begun, LEDGER, since=since)[0] == ""
    assert line.struck > 5
    assert models.Quarantine.objects.exists()
    read_back()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_bad_rows(still, capsys):
    seed = soaking.seed()
    with capsys.disabled():
        print(f"\nbad rows: seed {seed}")
        soaking.keep("bad_rows", fuzz(still, many=100_000, seed=seed))

"""Random histories of lists that change while they are read: after the next increment no row is missing, and
none is older than it was when that increment began."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from apps.collector.endpoints import MERGE_REQUESTS, PUSH_EVENTS, TAGS, Endpoint
from apps.collector.errors import GitlabUnavailable
from apps.collector.marks import OVERLAP
from apps.collector.reading import Place, Reading
from apps.collector.storing import reader_of
from apps.collector.tests.builders import START
from apps.collector.tests.server import FakeGitlab, serving
from tests.collector import soaking
from tests.collector.moving import MovingList

ORDERS: dict[str, tuple[Endpoint, str]] = {
    "updated_at": (MERGE_REQUESTS, "/merge_requests"),
    "created_at": (PUSH_EVENTS, "/events"),
    "name": (TAGS, "/repository/tags"),
}
SHARES = {"updated_at": 0.6, "created_at": 0.2, "name": 0.2}
WEEK = dt.timedelta(days=7)
MOST_REQUESTS = 150  # of a history of some dozens of rows

Held = dict[int, tuple[str, int]]


@pytest.fixture
def gitlab() -> Iterator[FakeGitlab]:
    with serving(FakeGitlab()) as fake:
        yield fake


def read(client: Any, endpoint: Endpoint, project: int, since: Any, held: Held) -> Any:
    """One reading, begun anew as the ledger does where it must; answers from when the next one reads."""
    while True:
        reading = Reading(
            client=client, place=Place(project_id=project), reader=reader_of(endpoint.routes[0]), since=since,
            cursor={}, server_fields={},
        )  # fmt: skip
        try:
            take(reading, endpoint, held)
        except GitlabUnavailable:  # a page's worth of new rows came in between: the same page again
            continue
        assert reading.started is not None
        return max(START, reading.started - OVERLAP)


def take(reading: Reading, endpoint: Endpoint, held: Held) -> None:
    """All pages into `held`, as the guarded upsert does it."""
    source: Any = endpoint.routes[0].source
    for page in source.pages(reading):
        if page.whole:
            held.clear()
        for row, _ in page.documents:
            number, at, version = told(row, endpoint)
            if number not in held or held[number][0] <= at:
                held[number] = at, version


def told(row: Any, endpoint: Endpoint) -> tuple[int, str, int]:
    """Number, moment and version of a row in the words of its endpoint."""
    if endpoint is TAGS:
        return int(row.name), "", int(row.commit.id)
    if endpoint is PUSH_EVENTS:
        return row.id, row.created_at, int(row.push_data.ref)
    return row.iid, row.updated_at, int(row.title)


def play(gitlab: FakeGitlab, client: Any, moving: MovingList, number: int) -> list[int]:
    """One history; answers the rows that are missing or stale at its end."""
    rng, (endpoint, path) = moving.rng, ORDERS[moving.order]
    gitlab.handlers = {f"/projects/{number}{path}": moving.answer}
    held: Held = {}
    since = START
    for _ in range(rng.randint(1, 2)):
        since = read(client, endpoint, number, since, held)
    if moving.order != "updated_at":  # a deletion hides a row of an offset list until the night
        moving.restless, since = False, max(START, since - WEEK)
    before = {row.number: row.version for row in moving.rows.values()}
    read(client, endpoint, number, since, held)
    assert moving.requests < MOST_REQUESTS
    lost = [
        one
        for one, version in before.items()
        if one in moving.rows and (one not in held or held[one][1] < version)
    ]
    if moving.order == "name":
        lost += sorted(set(held) - set(moving.rows))
    return lost


def histories(gitlab: FakeGitlab, client: Any, many: int, seed: int) -> Counter[str]:
    """Play so many of them; answers how many there were of each order, and all requests."""
    counts: Counter[str] = Counter(seed=seed)
    for number in range(1, many + 1):
        rng = random.Random(f"{seed}/{number}")
        order, size = rng.choices(list(SHARES), weights=list(SHARES.values()))[0], rng.randint(4, 8)
        moving = MovingList(rng, order, size=size, alike=size - 1)
        lost = play(gitlab, client, moving, number)
        assert not lost, f"seed {seed}, history {number}, by {order}: {lost} missing or stale"
        counts[order] += 1
        counts["requests"] += moving.requests
        gitlab.asked.clear()
    return counts


def test_nothing_is_lost_to_rows_that_move(gitlab, client_to):
    counts = histories(gitlab, client_to(gitlab.url), 500, seed=1)
    assert min(counts[order] for order in ORDERS) > 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nothing_is_lost_in_ten_thousand_histories(gitlab, client_to, capsys):
    seed = soaking.seed()
    with capsys.disabled():
        print(f"\nmoving rows: seed {seed}")
        soaking.keep("moving_rows", histories(gitlab, client_to(gitlab.url), 10_000, seed))


def test_nothing_is_lost_of_more_rows_of_one_moment_than_a_page_holds(gitlab, client_to):
    client = client_to(gitlab.url)
    for number in range(1, 60):
        moving = MovingList(random.Random(number), "updated_at", size=4, alike=100)
        assert not play(gitlab, client, moving, number), number

"""Lists that change while they are read: after the next increment nothing is missing."""

from __future__ import annotations

import random

import pytest

from apps.collector.endpoints import MERGE_REQUESTS, TAGS
from apps.collector.errors import GitlabUnavailable
from apps.collector.reading import Place, Reading
from apps.collector.rest import Rest
from apps.collector.storing import reader_of
from apps.collector.tests.builders import START, at, merge_request
from apps.collector.tests.server import FakeGitlab, Reply, answer

LIST = "/projects/7/merge_requests"


def reading(client, *, cursor=None, endpoint=MERGE_REQUESTS):
    return Reading(
        client=client,
        place=Place(project_id=7),
        reader=reader_of(endpoint.routes[0]),
        since=START,
        cursor=cursor or {},
        server_fields={},
    )


def read(client) -> dict[int, str]:
    """What a client would hold after one reading: the newest copy of each row."""
    held: dict[int, str] = {}
    for page in MERGE_REQUESTS.routes[0].source.pages(reading(client)):
        for row, _ in page.documents:
            held[row.iid] = max(held.get(row.iid, ""), row.updated_at)
    return held


class Restless:
    """Touches, adds and deletes rows before every answer."""

    def __init__(self, gitlab: FakeGitlab, seed: int) -> None:
        self.rng, self.rows, self.clock = random.Random(seed), gitlab.lists[LIST], 10_000

    def __call__(self, asked) -> None:
        for _ in range(self.rng.randrange(3)):
            self.clock += 1
            act = self.rng.random()
            if act < 0.6:
                self.rng.choice(self.rows)["updated_at"] = at(self.clock)
            elif act < 0.8 and len(self.rows) > 5:
                self.rows.remove(self.rng.choice(self.rows))
            else:
                self.rows.append(merge_request(self.clock, updated=self.clock))


@pytest.mark.parametrize("seed", range(15))
def test_no_row_is_missed_while_rows_move(gitlab, client, seed):
    rng = random.Random(seed)
    gitlab.lists[LIST] = [merge_request(n, updated=rng.randrange(40)) for n in range(rng.randrange(100, 420))]
    standing = {row["iid"] for row in gitlab.lists[LIST]}
    restless = Restless(gitlab, seed)
    gitlab.before_each = restless
    held = read(client)
    still_there = {row["iid"] for row in gitlab.lists[LIST]}
    assert standing & still_there <= set(held)
    assert gitlab.count(LIST) <= len(held) // 100 + restless.clock - 10_000 + 8


def test_a_full_page_of_one_instant_is_paged_through(gitlab, client):
    gitlab.lists[LIST] = [merge_request(n, updated=7) for n in range(350)] + [merge_request(900, updated=8)]
    assert len(read(client)) == 351


def test_a_reading_goes_on_from_its_cursor(gitlab, client):
    gitlab.lists[LIST] = [merge_request(n, updated=n) for n in range(300)]
    pages = MERGE_REQUESTS.routes[0].source.pages(reading(client))
    cursor = next(pages).cursor
    rest = list(MERGE_REQUESTS.routes[0].source.pages(reading(client, cursor=cursor)))
    assert {row.iid for page in rest for row, _ in page.documents} == set(range(99, 300))
    assert rest[-1].cursor == {}


def test_a_server_that_ignores_order_and_bound_is_read_page_by_page(gitlab, client):
    rows = [merge_request(n, updated=-n) for n in range(250)]

    def ignorant(asked):
        page = int(asked.query.get("page", 1))
        return answer(rows[(page - 1) * 100 : page * 100])

    gitlab.handlers[LIST] = ignorant
    assert len(read(client)) == 250


def test_a_server_that_repeats_its_page_is_found_out(gitlab, client):
    same = [{"name": f"v{n}", "commit": {"id": "c"}} for n in range(100)]
    gitlab.handlers["/projects/7/repository/tags"] = lambda _: answer(same)
    with pytest.raises(GitlabUnavailable, match="same page"):
        list(TAGS.routes[0].source.pages(reading(client, endpoint=TAGS)))


def test_a_page_that_takes_too_long_is_asked_in_halves(gitlab, client):
    gitlab.lists[LIST] = [merge_request(n, updated=n) for n in range(180)]
    page = gitlab._page

    def heavy(asked):
        return Reply(504, b"", {}) if int(asked.query["per_page"]) > 50 else page(LIST, asked.query)

    gitlab.handlers[LIST] = heavy
    assert len(read(client)) == 180


def test_bounds_are_written_with_z_because_a_plus_would_be_a_blank(gitlab, client):
    gitlab.lists[LIST] = []
    read(client)
    assert gitlab.asked[0].query["updated_after"] == "2025-08-01T00:00:00Z"
    assert Rest("/x").paths == []

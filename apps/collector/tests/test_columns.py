"""Rows made column by column are the rows made one by one, or are left to be made one by one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.collector import harvest
from apps.collector.columns import WORTH_IT, rows_at_once
from apps.collector.endpoints import COMMITS, ISSUES, MERGE_REQUESTS, PIPELINES, RELEASES
from apps.collector.normalise import Unfit
from apps.collector.storing import reader_of
from apps.collector.tables import given_for
from apps.collector.tests.builders import at, commit, merge_request, pipeline, user
from apps.collector.tests.server import NOW

GIVEN = given_for(7, now=NOW, server_fields={}, numbers={}, within=frozenset())
WORDS = (
    "", "\0", "a\tb", "\\N", "ü", "x" * 5000, "12", at(5), at(5).replace("Z", "+02:00"),
    "2025-02-30T00:00:00Z", "2030-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2025-01-01 00:00:00Z",
    "2025-09-01T00:00:00.000z",
)  # fmt: skip
VALUES = (
    *WORDS,
    None,
    True,
    1,
    -1,
    2**31,
    2**63,
    2.0,
    2.5,
    [],
    ["a", "ü", "\t"],
    ["a", 1],
    [None],
    {"name": "x"},
)
ODD = st.one_of(st.sampled_from(VALUES), st.text(max_size=8), st.integers(-(2**70), 2**70), st.floats())
GOOD = (
    (MERGE_REQUESTS, lambda n: merge_request(n, reviewers=[user(n % 3)], merged_at=at(n) if n % 2 else None)),
    (PIPELINES, pipeline),
    (COMMITS, lambda n: commit(f"{n:040x}")),
    (ISSUES, merge_request),
    (
        RELEASES,
        lambda n: {"tag_name": f"v{n}", "created_at": at(n), "released_at": at(n), "commit": {"id": "a"}},
    ),
)
EACH = pytest.mark.parametrize(("endpoint", "row"), GOOD, ids=[endpoint.name for endpoint, _ in GOOD])


def read(endpoint, rows):
    return reader_of(endpoint.routes[0]).rows(json.dumps(rows).encode())


def one_by_one(table, items):
    """The rows, or None where one of them is refused."""
    try:
        return [harvest._row(table.columns, item, item, GIVEN) for item in items]
    except Unfit:
        return None


def at_once(table, items):
    return rows_at_once(table.columns, items, items, [GIVEN] * len(items))


@EACH
def test_usual_rows_are_made_at_once(endpoint, row):
    items, table = read(endpoint, [row(n) for n in range(50)]), endpoint.main
    found = at_once(table, items)
    assert found is not None
    assert found == one_by_one(table, items)


@EACH
def test_each_odd_value_in_each_place_is_the_same_either_way(endpoint, row):
    """Seldom is anything else odd, so that nothing else decides which way is taken."""
    for name in row(0):
        rows = [{**row(n), name: value} for n, value in enumerate(VALUES)]
        for item in read(endpoint, rows):
            if isinstance(item, reader_of(endpoint.routes[0]).shape):
                assert at_once(endpoint.main, [item]) == one_by_one(endpoint.main, [item])


@EACH
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_odd_rows_are_the_same_either_way(endpoint, row, data):
    rows = [row(n) for n in range(3)]
    names = st.sampled_from(sorted(rows[0]))
    for one in rows[: data.draw(st.integers(1, 3))]:
        one.update(data.draw(st.dictionaries(names, ODD, max_size=2)))
    items = [item for item in read(endpoint, rows) if isinstance(item, reader_of(endpoint.routes[0]).shape)]
    if items:
        assert at_once(endpoint.main, items) == one_by_one(endpoint.main, items)


def test_the_odd_row_among_many_is_the_only_one_refused():
    rows = [merge_request(n) for n in range(2 * WORTH_IT)]
    rows[3]["created_at"] = "the day before yesterday"
    found = harvest.rows_of(MERGE_REQUESTS.main, [(item, GIVEN) for item in read(MERGE_REQUESTS, rows)])
    assert len(found.rows) == len(rows) - 1
    assert [row.entity_id for row in found.refused] == ["1003"]
    assert "created_at" in found.refused[0].reason


def test_of_two_copies_the_younger_stays_and_of_equals_the_later():
    rows = [merge_request(n, updated=5, title=f"first {n}") for n in range(WORTH_IT)]
    rows += [merge_request(1, updated=4, title="older"), merge_request(2, updated=5, title="later")]
    found = harvest.rows_of(MERGE_REQUESTS.main, [(item, GIVEN) for item in read(MERGE_REQUESTS, rows)])
    place = [column.name for column in MERGE_REQUESTS.main.columns].index("title")
    assert [row[place] for row in found.rows.values()][1:3] == ["first 1", "later"]


def test_a_person_who_stands_in_many_rows_is_read_once_and_last():
    (people,) = [table for table in MERGE_REQUESTS.routes[0].tables if table.recurs]
    states = ["active", "blocked", "active", "active"]
    rows = [merge_request(n, author=user(1, state=state)) for n, state in enumerate(states)]
    found = harvest.rows_of(people, [(item, GIVEN) for item in read(MERGE_REQUESTS, rows)])
    assert [row[-1] for row in found.rows.values()] == ["active"]

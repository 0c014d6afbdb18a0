"""Many new rows go straight into the table; everything else goes the guarded way."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from django.db import connection

from apps.collector import models
from apps.collector.tests.builders import START, merge_request
from apps.collector.tests.server import NOW
from apps.collector.tests.test_upsert import ROUTE, put
from apps.collector.upsert import MANY

ITEMS = [merge_request(n, title=f"a\tb {n}") for n in range(MANY + 50)]


def statements(django_assert_max_num_queries, items) -> str:
    with django_assert_max_num_queries(100) as asked:
        assert put(ROUTE, items) >= MANY
    return " ".join(query["sql"] for query in asked.captured_queries)


@pytest.mark.django_db
def test_many_new_rows_need_no_stage(django_assert_max_num_queries):
    assert "stage_raw_mr" not in statements(django_assert_max_num_queries, ITEMS)
    assert models.RawMergeRequest.objects.count() == len(ITEMS)
    found = models.RawMergeRequest.objects.get(iid=7)
    assert (found.title, found.fetched_at, found.created_at) == ("a\tb 7", NOW, START)


@pytest.mark.django_db
def test_one_known_row_among_many_is_guarded(django_assert_max_num_queries):
    put(ROUTE, [merge_request(7, updated=500, title="younger")])
    assert "stage_raw_mr" in statements(django_assert_max_num_queries, ITEMS)
    assert models.RawMergeRequest.objects.get(iid=7).title == "younger"
    assert models.RawMergeRequest.objects.count() == len(ITEMS)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_worker_brings_meanwhile_is_guarded():
    """It is not to be seen when we ask which rows are known, and in our way when we write."""
    told = connection.settings_dict
    place = {"host": told["HOST"], "port": told["PORT"], "user": told["USER"], "password": told["PASSWORD"]}
    with psycopg.connect(dbname=told["NAME"], **place) as other:
        other.execute(
            "insert into raw_mr (mr_id, project_id, iid, state, title, labels, created_at, updated_at,"
            " fetched_at) values (1007, 7, 7, 'opened', 'younger', '[]', %s, %s, %s)",
            [NOW, NOW, NOW],
        )
        written: list[int] = []
        worker = threading.Thread(target=lambda: (written.append(put(ROUTE, ITEMS)), connection.close()))
        worker.start()
        with psycopg.connect(dbname=told["NAME"], autocommit=True, **place) as third:
            until = time.monotonic() + 20
            while not third.execute("select 1 from pg_locks where not granted").fetchone():
                assert time.monotonic() < until, "nobody waits for the other worker's row"
        other.commit()
    worker.join()
    assert written == [len(ITEMS)], "all but that one, and their author"
    assert models.RawMergeRequest.objects.get(iid=7).title == "younger"

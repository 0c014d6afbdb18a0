"""What a pool child keeps between two steps, and what a restart of the database does to it."""

from __future__ import annotations

import psycopg
import pytest
from celery.signals import task_prerun
from django.db import connection, connections


@pytest.fixture
def child():
    """This process with connections as a pool child has them, and none open."""
    before = dict(connections.settings["default"])
    connection.close()
    from tem.celery import keep_connections

    keep_connections()
    yield
    connections.settings["default"].update(before)
    connection.close()


def backend() -> int:
    with connection.cursor() as sql:
        sql.execute("select pg_backend_pid()")
        return int(sql.fetchone()[0])


def restarted(pid: int) -> None:
    """End the connection at the server's side, as an immediate restart does."""
    given = connection.settings_dict
    told = {
        "host": given["HOST"],
        "port": given["PORT"],
        "user": given["USER"],
        "password": given["PASSWORD"],
    }
    with psycopg.connect(dbname=given["NAME"], autocommit=True, **told) as link:
        link.execute("select pg_terminate_backend(%s, 5000)", [pid])


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_kept_from_one_task_to_the_next(child):
    first = backend()
    task_prerun.send(sender=None)
    assert backend() == first


@pytest.mark.django_db(transaction=True)
def test_one_that_the_server_ended_is_replaced_before_the_next_task(child):
    first = backend()
    restarted(first)
    task_prerun.send(sender=None)
    assert backend() != first

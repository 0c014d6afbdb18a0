"""Both ends of a line to PostgreSQL ask whether the other is still there."""

import os
import socket
import sys

import pytest
from django.db import connection

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(sys.platform != "linux", reason="names of socket options differ"),
]


def test_the_server_asks_us():
    with connection.cursor() as sql:
        sql.execute("select current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_count')")
        assert sql.fetchone() == ("20", "3")


def test_we_ask_the_server():
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.pgconn.socket)) as line:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [line.getsockopt(socket.IPPROTO_TCP, name) for name in options] == [20, 5, 3, 120_000]

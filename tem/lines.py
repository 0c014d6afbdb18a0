"""Lines to PostgreSQL that go dead without a word: how soon either end notices. Knows no table.

A host that vanishes leaves its transaction open at the server, with every lock in it, for the two hours that
an operating system waits by default: whoever took its steps over would wait for them as long.
"""

from __future__ import annotations

from typing import Any

IDLE_S, INTERVAL_S, COUNT = 20, 5, 3  # asked after so long, so often, so many times: 35 s in all

OURS: dict[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": IDLE_S,
    "keepalives_interval": INTERVAL_S,
    "keepalives_count": COUNT,
    "tcp_user_timeout": 120_000,  # ms until what we sent is taken: a COPY may stand in line behind a lock
}
"""For libpq, at our end of the line."""

_THEIRS = """
select set_config('tcp_keepalives_idle', %s, false), set_config('tcp_keepalives_interval', %s, false),
       set_config('tcp_keepalives_count', %s, false)
"""


def have_server_look(connection: Any, **_: Any) -> None:
    """Have the server ask whether we are still there; in a statement, for poolers refuse options."""
    with connection.cursor() as sql:
        sql.execute(_THEIRS, [str(IDLE_S), str(INTERVAL_S), str(COUNT)])

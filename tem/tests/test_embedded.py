"""The embedded services: shared by their users, gone with the last, healed after any death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tem import embedded
from tem.environment import CHECKOUT
from tem.processes import alive, standing_in

pytestmark = pytest.mark.xdist_group("embedded")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: making a cluster is what takes time."""
    return tmp_path_factory.mktemp("a home with a blank and a rather long name")


@pytest.fixture(autouse=True)
def _nothing_left(home: Path) -> Iterator[None]:
    yield
    embedded.down(home)
    assert not standing_in(home / "postgres")


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 8
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def write(addresses: embedded.Addresses, word: str) -> None:
    with psycopg.connect(addresses.db_url) as connection:
        connection.execute("create table if not exists kept (word text)")
        connection.execute("insert into kept values (%s)", [word])
    with redis.Redis.from_url(addresses.redis_url) as client:
        client.set(word, word)
        client.execute_command("WAITAOF", 1, 0, 1000)


def read(addresses: embedded.Addresses) -> set[str]:
    with psycopg.connect(addresses.db_url) as connection, redis.Redis.from_url(addresses.redis_url) as client:
        rows = {str(row[0]) for row in connection.execute("select word from kept")}
        return {word for word in rows if client.get(word) == word.encode()}


def test_data_survive_an_end_and_nothing_runs_after_the_last_user(home: Path) -> None:
    with embedded.running(home) as addresses:
        write(addresses, "orderly")
    assert embedded.status(home) is None
    with embedded.running(home) as addresses:
        assert "orderly" in read(addresses)


def test_killed_keeper_takes_the_servers_along_and_the_next_start_heals(home: Path) -> None:
    with embedded.running(home) as addresses:
        write(addresses, "crash")
        found = embedded.status(home)
        assert found
        os.kill(found.keeper.pid, signal.SIGKILL)
        assert until(lambda: not standing_in(home / "postgres") | standing_in(home / "valkey"))
        assert embedded.status(home) is None
    with embedded.running(home) as addresses:
        assert "crash" in read(addresses)


def test_stale_files_with_somebody_elses_number_are_healed(home: Path) -> None:
    """After a reboot our old numbers may belong to any process: here, to this one."""
    with embedded.running(home) as addresses:
        write(addresses, "reboot")
    state = {
        "keeper": [os.getpid(), "1"],
        "pinned": True,
        "PostgreSQL": {"url": "postgresql://gone", "pid": os.getpid()},
        "Valkey": {"url": "redis://gone", "pid": os.getpid()},
    }
    (home / "embedded.json").write_text(json.dumps(state))
    lock = home / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{home}/postgres\n1\n5432\n\n127.0.0.1\n1 1\nready\n")
    assert embedded.status(home) is None
    with embedded.running(home) as addresses:
        assert "reboot" in read(addresses)


def test_users_share_one_keeper_and_do_not_end_it_for_each_other(home: Path) -> None:
    program = (
        "import sys, pathlib; from tem import embedded\n"
        "print(embedded.hold(pathlib.Path(sys.argv[1])).db_url, flush=True); sys.stdin.read()"
    )
    start = [sys.executable, "-c", program, str(home)]
    users = [
        subprocess.Popen(start, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {user.stdout.readline() for user in users if user.stdout}
    found = embedded.status(home)
    assert found
    assert said == {f"{found.addresses.db_url}\n"}
    users[0].communicate()
    with embedded.running(home) as addresses:
        assert addresses == found.addresses
    assert alive(found.keeper)
    users[1].kill()
    users[1].communicate()
    assert until(lambda: not alive(found.keeper))


def test_up_stays_without_users_until_down(home: Path) -> None:
    addresses = embedded.up(home)
    with embedded.running(home) as again:
        assert again == addresses
    found = embedded.status(home)
    assert found
    assert found.pinned
    assert embedded.down(home)
    assert not embedded.down(home)


def test_threads_that_ask_at_once_get_the_same_servers(home: Path) -> None:
    found: list[embedded.Addresses] = []

    def ask() -> None:
        with embedded.running(home) as addresses:
            found.append(addresses)
            meeting.wait()

    meeting = threading.Barrier(3)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_servers_refuse_strangers(home: Path) -> None:
    with embedded.running(home) as addresses:
        head, at, place = addresses.db_url.rpartition("@")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"postgresql://tem:wrong{at}{place}")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url("redis://" + addresses.redis_url.rpartition("@")[2]).ping()
        client = redis.Redis.from_url(addresses.redis_url)
        wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert head
    assert (home / "secrets" / "postgres_password").stat().st_mode & 0o077 == 0
    assert (home / "valkey" / "valkey.conf").stat().st_mode & 0o077 == 0

"""The embedded PostgreSQL and Valkey of a TEM_HOME, as everybody else sees them.

    with running(home) as addresses: ...      started if nobody had, stopped when nobody is left

`tem.keeper` owns the servers; here one asks for them. Being in use is a shared lock on
HOME/embedded.users, so a user that is killed counts no longer, and users never stop each other.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tem.environment import CHECKOUT
from tem.processes import Known, alive
from tem.servers import ServerFailed


class Addresses(NamedTuple):
    """Where the two servers listen, passwords included: never print these."""

    db_url: str
    redis_url: str

    def __repr__(self) -> str:
        return "Addresses(...)"


class Status(NamedTuple):
    """What runs: the keeper, the servers by name and pid, and whether `down` has to be said."""

    addresses: Addresses
    keeper: Known
    pids: dict[str, int]
    pinned: bool


_held: list[IO[str]] = []  # open for the rest of our life: a lock ends with its file

# Where nothing listens (port 9 is "discard"): a command that needs no database still has settings.
NOT_RUNNING = Addresses(
    db_url="postgresql://tem@127.0.0.1:9/embedded_is_not_running", redis_url="redis://127.0.0.1:9/0"
)


def status(home: Path) -> Status | None:
    """What runs in `home`; None when nothing does, whatever an older state file says."""
    try:
        state = json.loads((home / "embedded.json").read_text())
    except FileNotFoundError:
        return None
    keeper = Known(*state["keeper"])
    if not alive(keeper):
        return None
    servers = {name: state[name] for name in ("PostgreSQL", "Valkey")}
    return Status(
        addresses=Addresses(db_url=servers["PostgreSQL"]["url"], redis_url=servers["Valkey"]["url"]),
        keeper=keeper,
        pids={name: server["pid"] for name, server in servers.items()},
        pinned=state["pinned"],
    )


def addresses(home: Path) -> Addresses | None:
    """Where the servers of `home` listen, or None when they do not run."""
    found = status(home)
    return found.addresses if found else None


@contextmanager
def running(home: Path, *, durable: bool = True) -> Iterator[Addresses]:
    """The servers of `home` for the length of a block; they end with their last user.

    Raises ServerFailed, with the reason, when they cannot be started.
    """
    found = None
    try:
        with use(home):
            found = _ensure(home, durable=durable)
            yield found.addresses
    finally:
        if found:
            _wait_until_gone(home, found.keeper)


def hold(home: Path, *, durable: bool = True) -> Addresses:
    """The servers of `home` for the rest of this process's life."""
    _held.append(_shared_lock(home))
    return _ensure(home, durable=durable).addresses


def up(home: Path) -> Addresses:
    """Start the servers of `home` unless they run, to stay until `down` whoever comes and goes."""
    with use(home):
        found = _ensure(home, durable=True)
        os.kill(found.keeper.pid, signal.SIGUSR1)
        while alive(found.keeper) and not (now := status(home) or found).pinned:
            time.sleep(0.02)
        return now.addresses


def down(home: Path) -> bool:
    """Stop the servers of `home`; answers whether any were running. Returns when they are gone."""
    found = status(home)
    if found is None:
        return False
    os.kill(found.keeper.pid, signal.SIGTERM)
    while alive(found.keeper):
        time.sleep(0.02)
    return True


@contextmanager
def use(home: Path) -> Iterator[IO[str]]:
    """Count as a user of the servers of `home`. Waits while they are being stopped."""
    with _shared_lock(home) as lock:
        yield lock


def _wait_until_gone(home: Path, keeper: Known) -> None:
    """For the last user: return when the keeper has ended. Others using it, or a pin: at once."""
    with (home / "embedded.users").open("a") as lock:
        while alive(keeper):
            now = status(home)
            if now and now.pinned:
                return
            if _granted(lock, fcntl.LOCK_EX):
                fcntl.flock(lock, fcntl.LOCK_UN)  # nobody is left: the keeper notices, or has noticed
            elif _granted(lock, fcntl.LOCK_SH):
                return  # somebody else is
            time.sleep(0.02)


def _granted(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _shared_lock(home: Path) -> IO[str]:
    for folder in (home, home / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    lock = (home / "embedded.users").open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def _ensure(home: Path, *, durable: bool) -> Status:
    """The running servers, started if need be. Callers hold the shared lock; one of them starts."""
    with (home / "embedded.start").open("a") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        found = status(home)
        return found if found else _start(home, durable=durable)


def _start(home: Path, *, durable: bool) -> Status:
    log = home / "logs" / "embedded.log"
    command = [sys.executable, "-m", "tem.keeper", str(home), *([] if durable else ["--not-durable"])]
    # The keeper belongs to all its users, so it carries no mark of the one that happened to start it.
    variables = {name: value for name, value in os.environ.items() if name != "TEM_STACK_ID"}
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while keeper.poll() is None:
        if found := status(home):
            return found
        time.sleep(0.02)
    raise ServerFailed(log.read_text(errors="replace").strip() or "the keeper of the servers died")

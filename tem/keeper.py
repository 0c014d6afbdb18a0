"""The keeper: the one process that the embedded servers of a TEM_HOME belong to.

`python -m tem.keeper HOME [--not-durable]` starts PostgreSQL and Valkey, writes HOME/embedded.json, and
stops them when nobody holds a shared lock on HOME/embedded.users any more (the operating system drops
a lock with its holder, however it died) unless SIGUSR1 pinned it, or on SIGTERM. The servers are
tied to the keeper: a killed keeper takes them along. One server dying ends the other, status 1.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tem.processes import known
from tem.servers import (
    Server,
    ServerFailed,
    forget_stale_lock,
    postgres,
    postgres_is_ready,
    valkey,
    valkey_is_ready,
)

START_LIMIT_S, STOP_LIMIT_S, LOOK_EVERY_S = 120.0, 20.0, 0.3  # a start may have to recover from a crash
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD}
State = dict[str, Any]


class Keeper:
    """Holds the two servers from start to end."""

    def __init__(self, home: Path, *, durable: bool) -> None:
        self.home = home
        self.durable = durable
        self.pinned = False
        self.running: list[tuple[Server, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        """Start both servers side by side, and tell the world when both answer."""
        log = self.home / "logs"
        broker = valkey(self.home)
        self.running.append((broker, broker.start(log / "valkey.log")))
        database = postgres(self.home, durable=self.durable)
        forget_stale_lock(database)
        self.running.append((database, database.start(log / "postgres.log")))
        self._wait_for(database, postgres_is_ready)
        self._wait_for(broker, valkey_is_ready)
        self.tell()

    def start_or_try_again(self) -> None:
        """Start; once more where that fails, for a port found free may be taken a moment later."""
        try:
            self.start()
        except ServerFailed:
            self.stop()
            self.running.clear()
            self.start()

    def _wait_for(self, server: Server, is_ready: Callable[[Server], bool]) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not is_ready(server):
            if self.fallen() or time.monotonic() > deadline:
                raise ServerFailed(f"{server.name} did not start: see {self.home / 'logs'}.")
            time.sleep(0.02)

    def fallen(self) -> str:
        """The name and status of a server that ended by itself, or the empty string."""
        for server, process in self.running:
            if (status := process.poll()) is not None:
                how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                return f"{server.name} {how}"
        return ""

    def tell(self) -> None:
        """Write the state file in one move; it holds passwords, so nobody else may read it."""
        me = known(os.getpid())
        state: State = {"keeper": me, "pinned": self.pinned, "durable": self.durable}
        for server, process in self.running:
            state[server.name] = {"url": server.url, "pid": process.pid}
        new = self.home / "embedded.json.new"
        with suppress(FileNotFoundError):
            new.unlink()
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(state, file)
        new.rename(self.home / "embedded.json")

    def watch(self) -> str:
        """Wait until it is time to stop; answers why ("" when that was wanted)."""
        with (self.home / "embedded.users").open("a") as users:
            while True:
                if news := self.fallen():
                    return news
                if not self.pinned and _nobody_uses(users):
                    # Kept until we are gone: who comes meanwhile waits, then starts a keeper of its own.
                    self.stop()
                    return ""
                caught = signal.sigtimedwait(SIGNALS, LOOK_EVERY_S)
                if caught is not None and caught.si_signo == signal.SIGUSR1:
                    self.pinned = True
                    self.tell()
                elif caught is not None and caught.si_signo != signal.SIGCHLD:
                    return ""

    def stop(self) -> None:
        """Withdraw the state file, then stop both; one that does not obey is killed."""
        (self.home / "embedded.json").unlink(missing_ok=True)
        for server, process in self.running:
            if process.poll() is None:
                process.send_signal(server.stop_signal)
        deadline = time.monotonic() + STOP_LIMIT_S
        for _server, process in self.running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _nobody_uses(users: Any) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(home: Path, *, durable: bool) -> int:
    """Keep the servers of `home`; 0 after an orderly end, 1 when something failed (printed)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with (home / "embedded.keeper").open("a") as only_one:
        fcntl.flock(only_one, fcntl.LOCK_EX)  # a keeper that is just leaving is waited for
        keeper = Keeper(home, durable=durable)
        try:
            keeper.start_or_try_again()
            news = keeper.watch()
        except ServerFailed as failure:
            news = str(failure)
        finally:
            keeper.stop()
    if news:
        print(f"embedded services ended: {news}", file=sys.stderr, flush=True)
    return 1 if news else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), durable="--not-durable" not in sys.argv[2:]))

"""Processes of the operating system: who is who, who dies with whom, and what is left behind.

Standard library only, and nothing of TEM: the watchdog must start in a blink. Linux does the
strict part (`prctl`, `/proc`); elsewhere a child is not tied to its parent by the kernel.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PROC = Path("/proc")
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Known(NamedTuple):
    """A process told apart from a later one with the same pid by the moment it started."""

    pid: int
    started: str


class Seen(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    session: int


def tied(deathsig: int = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends the child `deathsig` the moment its parent is gone.

    The tie is to the *thread* that starts the child, so start children from the main thread.
    """
    parent = os.getpid()

    def tie() -> None:
        untied()
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, deathsig, 0, 0, 0)
        if os.getppid() != parent:  # it died before we were tied
            os._exit(1)

    return tie


def untied() -> None:
    """A `preexec_fn`: the child gets its signals, also those that its parent waits for by hand."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def tie_to_parent(deathsig: int) -> None:
    """Tie this very process to the one that started it (which is alive, or we would not be asked)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, deathsig, 0, 0, 0)


def known(pid: int) -> Known | None:
    """The living process `pid` with the mark of its start; None when it is gone or a zombie."""
    if not PROC.is_dir():
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return Known(pid, text) if text else None
    fields = _stat(pid)
    return Known(pid, fields[19]) if fields and fields[0] not in "ZX" else None


def alive(process: Known) -> bool:
    """Whether this very process, and not a later one with its number, is running."""
    return known(process.pid) == process


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def table() -> list[Seen]:
    """Every process of the machine that is not a zombie; empty where there is no /proc."""
    seen = []
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else []
        if fields and fields[0] not in "ZX":
            seen.append(Seen(pid=int(entry.name), parent=int(fields[1]), session=int(fields[3])))
    return seen


def marked(marker: str) -> set[int]:
    """Processes whose environment holds `marker` ("NAME=value"), as they were started."""
    wanted, found = marker.encode(), set()
    for seen in table():
        try:
            variables = (PROC / str(seen.pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone meanwhile, or another user's
        if wanted in variables:
            found.add(seen.pid)
    return found


def standing_in(folder: Path) -> set[int]:
    """Processes whose working directory is `folder` (servers stand in their data directory)."""
    found = set()
    for seen in table():
        try:
            where = os.readlink(PROC / str(seen.pid) / "cwd")
        except OSError:
            continue
        if where == str(folder):
            found.add(seen.pid)
    return found


def family(roots: Iterable[int]) -> set[int]:
    """The living processes among `roots`, all their descendants and all in their sessions."""
    everyone = table()
    found = set(roots)
    size = -1
    while size != len(found):
        size = len(found)
        found |= {seen.pid for seen in everyone if seen.parent in found or seen.session in found}
    return found & {seen.pid for seen in everyone}


def send(pids: Iterable[int], signal_number: int) -> None:
    """Signal each of `pids`; one that is gone already is fine."""
    for pid in pids:
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            continue


def end(find: Callable[[], set[int]], *, grace_s: float, first: int = signal.SIGTERM) -> set[int]:
    """End all that `find` finds: ask with `first`, after `grace_s` seconds kill. Answers the rest.

    `find` is asked again until it finds nothing, for a dying process may still start another.
    """
    deadline = time.monotonic() + grace_s
    send(find(), first)
    while (left := find()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(40):
        if not left:
            break
        send(left, signal.SIGKILL)
        time.sleep(0.05)
        left = find()
    return left

"""A stack of processes with one owner: started together, watched together, ended together.

Knows no member by name. One member ending, or a signal, ends the stack; the death of the owner itself
is the watchdog's business. Members are tied to the owner by the kernel as well.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tem.environment import CHECKOUT
from tem.processes import Known, alive, known, tied, untied
from tem.watchdog import clear

ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Stopped(Exception):
    """A signal asked the stack to end."""


class MemberEnded(Exception):
    """A member that should run for ever did not; the message names it and says how it ended.

    `log` adds where to look, and the last line that stands there.
    """

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        lines = log.read_text(errors="replace").split("\n") if log and log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        super().__init__(f"{message}\nIts log, {log}, ends with: {last[:500]}" if last else message)


@dataclass(eq=False)
class Member:
    """A process of the stack."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def how_it_ended(status: int) -> str:
    """A process's end in words, from what `Popen.returncode` says."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def compiling_once(variables: Mapping[str, str], home: Path) -> dict[str, str]:
    """`variables`, but where Python is told to keep no bytecode beside the sources, it keeps it in `home`.

    Every member loads the same thousand modules: compiling them takes longer than all the rest.
    """
    kept = dict(variables)
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept.setdefault("PYTHONPYCACHEPREFIX", str(home / "bytecode"))
    return kept


class Supervisor:
    """Owns a stack for the length of a `with` block. Use it from the main thread only.

    `variables` is what members see of the environment; their output goes to `logs`/NAME.log.
    """

    def __init__(self, *, logs: Path, variables: Mapping[str, str], grace_s: float) -> None:
        self.stack_id = secrets.token_hex(8)
        self.variables = {**compiling_once(variables, logs.parent), "TEM_STACK_ID": self.stack_id}
        self.logs = logs
        self.grace_s = grace_s
        self.members: list[Member] = []
        # Processes that are not ours and that we cannot do without, with their logs.
        self.guarded: dict[str, tuple[Known, Path]] = {}

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING | {signal.SIGCHLD})
        self._start_watchdog()
        return self

    def _start_watchdog(self) -> None:
        """The one member that is not tied to us: it has work to do when we are gone."""
        log = self.logs / "watchdog.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tem.watchdog", self.stack_id],
                cwd=CHECKOUT,
                env=self.variables,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=untied,
            )
        self.members.append(Member("watchdog", process, log))

    def __exit__(self, *_: object) -> None:
        """End everything: ask, wait `grace_s`, kill. The watchdog goes last; it would do the same."""
        watchdog = self.members[0].process
        others = [member for member in self.members[1:] if member.process.poll() is None]
        for member in others:
            member.process.terminate()
        self._wait_until_gone(others)
        clear(self.stack_id, self._alive(), grace_s=0)
        if watchdog.stdin:
            with suppress(BrokenPipeError):
                watchdog.stdin.close()
        watchdog.wait()

    def _wait_until_gone(self, members: list[Member]) -> None:
        deadline = time.monotonic() + self.grace_s
        while any(member.process.poll() is None for member in members) and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)

    def _alive(self) -> list[Known]:
        found = (known(member.process.pid) for member in self.members[1:])
        return [process for process in found if process]

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        shown: bool = False,
        pass_fds: Sequence[int] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Member:
        """Start a member; its output goes to its log, or with `shown` to where ours goes."""
        log = self._fresh_log(name)
        with log.open("wb") as file:
            output = None if shown else file
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={**self.variables, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if shown else subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=tied(signal.SIGKILL),
                pass_fds=pass_fds,
            )
        member = Member(name, process, log)
        self.members.append(member)
        self._tell_watchdog(process.pid)
        return member

    def _fresh_log(self, name: str) -> Path:
        """The member's log, empty; what the last start wrote is kept as NAME.log.1."""
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def _tell_watchdog(self, pid: int) -> None:
        pipe, found = self.members[0].process.stdin, known(pid)
        if found and pipe:
            with suppress(BrokenPipeError):  # the watchdog died: the next look says so
                pipe.write(f"{found.pid} {found.started}\n".encode())
                pipe.flush()

    def look(self, *, wait_s: float = 0.0, leaving: Collection[Member] = ()) -> None:
        """Wait up to `wait_s` for news. Raises Stopped or MemberEnded; `leaving` is allowed to end."""
        caught = signal.sigtimedwait(ENDING | {signal.SIGCHLD}, wait_s)
        if caught is not None and caught.si_signo in ENDING:
            raise Stopped(signal.Signals(caught.si_signo).name)
        for member in self.members:
            if member not in leaving and member.process.poll() is not None:
                raise MemberEnded(f"{member.name} {how_it_ended(member.process.returncode)}", log=member.log)
        for name, (process, log) in self.guarded.items():
            if not alive(process):
                raise MemberEnded(f"{name} ended", log=log)

    def wait_for(self, is_so: Callable[[], bool], *, limit_s: float, what: str) -> None:
        """Wait until `is_so()`; raises MemberEnded when that takes longer than `limit_s` seconds."""
        deadline = time.monotonic() + limit_s
        while not is_so():
            if time.monotonic() > deadline:
                raise MemberEnded(f"{what} did not happen within {limit_s:.0f} s")
            self.look(wait_s=0.05)

    def finish(self, member: Member) -> int:
        """Wait for a member whose task has an end, while the others are watched; its exit status."""
        while member.process.poll() is None:
            self.look(wait_s=0.5, leaving=[member])
        self.members.remove(member)
        return member.process.returncode

    def serve(self) -> None:
        """Wait for ever; leaves only by Stopped or MemberEnded."""
        while True:
            self.look(wait_s=1.0)

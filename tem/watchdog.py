"""The watchdog of a stack: when its owner dies, however it died, nothing of the stack lives on.

`python -m tem.watchdog STACK_ID` reads "PID STARTED" lines, one a member, from a pipe that only the owner
holds open. The pipe ends with the owner; then the members, their descendants, everything in their
sessions and everything that carries TEM_STACK_ID=STACK_ID is ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable

from tem.processes import Known, alive, end, family, known, marked

GRACE_S = 1.5


def watch(stack_id: str, lines: Iterable[str]) -> set[int]:
    """Collect members until the lines end, then end them all; answers what could not be ended."""
    members = [Known(int(pid), started) for pid, started in (line.split(maxsplit=1) for line in lines)]
    return clear(stack_id, members, grace_s=GRACE_S)


def clear(stack_id: str, members: Iterable[Known], *, grace_s: float) -> set[int]:
    """End whatever belongs to the stack, whoever its parent is by now; answers the rest (empty, we hope)."""
    seen = {*members}

    def find() -> set[int]:
        # A member that is gone leaves children behind: they were seen with it, or carry the mark.
        roots = {process.pid for process in seen if alive(process)} | marked(f"TEM_STACK_ID={stack_id}")
        found = family(roots - {os.getpid()}) - {os.getpid()}
        seen.update(process for process in map(known, found) if process)
        return found

    return end(find, grace_s=grace_s)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends after its owner, never before
    sys.exit(1 if watch(sys.argv[1], (line.rstrip("\n") for line in sys.stdin)) else 0)

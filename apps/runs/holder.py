"""Who holds a lease: a process, so exactly named that its death can be proved.

A name is `boot/namespace:pid:start`. Only a process of the same boot and the same pid namespace can
look another one up; whoever lives elsewhere is believed until the lease runs out.
"""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path

from tem.processes import Known, alive, known


def me() -> str:
    """The name of this very process (asked again after a fork)."""
    return _name(os.getpid())


@lru_cache(maxsize=4)
def _name(pid: int) -> str:
    this = known(pid)
    return f"{here()}:{pid}:{this.started if this else ''}"


@lru_cache(maxsize=1)
def here() -> str:
    """The place whose process table we see; two containers on one host are two places."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}".replace(":", "")
    except OSError:
        return platform.node().replace(":", "")


def is_dead(holder: str) -> bool:
    """Whether the process of that name is provably gone; False where we cannot know."""
    place, _, rest = holder.partition(":")
    pid, _, started = rest.partition(":")
    if place != here() or not pid.isdigit() or not started:
        return False
    return not alive(Known(int(pid), started))

"""The beat table as it begins: what is called, how often or at which local times. Admins edit it.

Slots of runs are local times, and a crontab loses or doubles them on the days the clocks change; so
beat only ticks at them too, and the ledger turns their times into slots (`apps.runs.slots`).
"""

from __future__ import annotations

from typing import NamedTuple

TICK = "tem.pipeline.tick"


class Entry(NamedTuple):
    """One line of the table: `every_s` seconds, or `at` the local times of a crontab in its five fields."""

    name: str
    task: str
    every_s: int = 0
    at: str = ""
    queue: str = "ops"


RUNS_AT = (
    Entry(name="nightly", task=TICK, at="0 2 * * *"),
    Entry(name="incremental", task=TICK, at="15 * * * *"),
    Entry(name="weekly", task=TICK, at="0 4 * * 0"),  # the night's work is done, and few wait for numbers
)
"""When runs of the kind that is the entry's name are due."""

BEAT = (
    Entry(name="open due runs", task=TICK, every_s=60),
    Entry(name="reconcile the ledger", task="tem.pipeline.reconcile", every_s=30),
    *RUNS_AT,
    Entry(name="look at the token", task="tem.watch.look_at_token", at="0 9 * * *"),
)

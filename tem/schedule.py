"""The beat table: what is called, how often. Which run is due is decided by `tem.pipeline.tick`.

Slots of the nightly and the hourly run are local times, and a crontab loses or doubles them on the
days the clocks change; so beat only ticks, and the ledger turns ticks into slots.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One line of the table; `every_s` is in seconds."""

    name: str
    task: str
    every_s: int
    queue: str


BEAT = (
    Entry(name="open due runs", task="tem.pipeline.tick", every_s=60, queue="ops"),
    Entry(name="reconcile the ledger", task="tem.pipeline.reconcile", every_s=30, queue="ops"),
)

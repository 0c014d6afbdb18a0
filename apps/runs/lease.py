"""A lease kept alive while its worker is busy with something long: a slow answer, a large statement."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

from apps.runs.errors import LostClaim
from apps.runs.ledger import LEASE, Claim

BEAT_S = LEASE.total_seconds() / 3


class Heart:
    """Extends the leases of one process from a thread of its own, which is started once: most steps are over
    before their first beat.

    A process that is stopped or killed stops beating too, and a beat carries the fence: it can never
    win a step back. A step learns that it lost its claim from its own next save.
    """

    def __init__(self, *, every_s: float = BEAT_S) -> None:
        self.every_s = every_s
        self._held: dict[int, Claim] = {}
        self._beating_in = 0  # the pid: a thread does not survive a fork

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[Claim]:
        """Extend the lease for the length of the block."""
        self._held[id(claim)] = claim
        if self._beating_in != os.getpid():
            self._beating_in, self._held = os.getpid(), {id(claim): claim}
            threading.Thread(target=self._beat_on, daemon=True, name="leases").start()
        try:
            yield claim
        finally:
            self._held.pop(id(claim), None)

    def _beat_on(self) -> None:
        pause = threading.Event()
        while not pause.wait(self.every_s):
            for key, claim in list(self._held.items()):
                self._beat(key, claim)
            connection.close()  # this thread's own

    def _beat(self, key: int, claim: Claim) -> None:
        try:
            claim.save()
        except LostClaim:
            self._held.pop(key, None)
        except DatabaseError:
            connection.close()  # it restarts, or is away: the lease decides, not this beat


kept = Heart().kept

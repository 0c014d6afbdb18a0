"""A lease kept alive while its worker is busy with something long: a slow answer, a large statement."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

from apps.runs.errors import LostClaim
from apps.runs.ledger import LEASE, Claim

BEAT_S = LEASE.total_seconds() / 3


@contextmanager
def kept(claim: Claim, *, every_s: float = BEAT_S) -> Iterator[Claim]:
    """Extend the lease from a thread of its own for the length of the block.

    A process that is stopped or killed stops beating too, and a beat carries the fence: it can never
    win a step back. The block learns that it lost its claim from its own next save.
    """
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(claim, over, every_s), daemon=True, name="lease")
    thread.start()
    try:
        yield claim
    finally:
        over.set()
        thread.join()


def _beat(claim: Claim, over: threading.Event, every_s: float) -> None:
    while not over.wait(every_s):
        try:
            claim.save()
        except LostClaim:
            return
        except DatabaseError:
            continue  # it restarts, or is away: the lease decides, not this beat
        finally:
            connection.close()  # this thread's own

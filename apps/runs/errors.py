"""What the ledger says when something cannot be.

TemError
├── LostClaim        somebody else holds the step by now, or its run is over: stop, write nothing
├── RunBusy          a run could be neither opened nor joined, because others open and end all the time
└── NotNow           what was asked of a run cannot be done as things stand: the message says why
"""

from tem.errors import TemError


class LostClaim(TemError):
    """The step is not ours any more. The transaction that meets this rolls back; nobody is told."""


class RunBusy(TemError):
    """Runs of the kind came and went while we asked. Asking again helps."""


class NotNow(TemError):
    """A run cannot be cancelled or retried as things stand. Nothing was changed."""

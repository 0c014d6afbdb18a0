"""What can be expected to go wrong when numbers are published.

TemError
└── ExportRefused      the day cannot be exported, or a file would not be true: nothing is written
"""

from tem.errors import TemError


class ExportRefused(TemError):
    """Nothing was written; the message says why and what to do."""

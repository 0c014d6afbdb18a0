"""Which run, step, project and request this moment belongs to: bound once, on every log line and span."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from structlog import contextvars


def during(**ids: Any) -> AbstractContextManager[None]:
    """Bind ids for the length of a block; those that are None are left out."""
    return contextvars.bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def bound() -> dict[str, Any]:
    """What is bound now."""
    return contextvars.get_contextvars()

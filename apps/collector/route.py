"""A route: one way to an entity, with the tables that its documents fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.collector.tables import Table


@dataclass(frozen=True)
class Route:
    """One way to an entity: a source and the tables that its documents fill, the main one first."""

    name: str
    source: Any
    tables: tuple[Table, ...]

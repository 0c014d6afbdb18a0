"""What needs no request: rows that follow from rows that are there already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from apps.collector.reading import Page, Reading


@dataclass(frozen=True)
class Local:
    """Statements about one project, run where they stand in the table; the routes after it take the rest."""

    statements: tuple[str, ...]
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """No page at all; the statements may ask for %(project)s and %(now)s."""
        told: dict[str, Any] = {"project": reading.place.project_id, "now": reading.client.server_time}
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in self.statements:
                cursor.execute(statement, told)
        return iter(())

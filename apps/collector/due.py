"""What is due: rows whose details were not read since they last changed. The database is the to-do list.

So a crash repeats nothing that was stored, and a second route finds exactly what the first one left.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import F, Q


@dataclass(frozen=True)
class Due:
    """Rows of `model` whose `mark` is older than their `moved`; `gives` is told to queries and children."""

    model: type[models.Model]
    key: str
    mark: str
    moved: str = "updated_at"
    gives: tuple[str, ...] = ("iid",)

    def rows(self, project_id: int) -> dict[int, dict[str, Any]]:
        """By GitLab's id: what is known of each row; `seen_at` is the change its details will stand for."""
        late = Q(**{f"{self.mark}__isnull": True}) | Q(**{f"{self.mark}__lt": F(self.moved)})
        wanted = (self.key, self.moved, *self.gives)
        found = (
            self.model._default_manager.filter(late, project_id=project_id).order_by(self.key).values(*wanted)
        )
        return {row[self.key]: {**row, "seen_at": row[self.moved] or EVER} for row in found}


EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

"""What is due: rows whose details were not read since they last changed. The database is the to-do list.

So a crash repeats nothing that was stored, and a second route finds exactly what the first one left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import F, Min, Q

from apps.collector.models import Removable
from apps.collector.reading import Reading

SLICE = 2_000  # rows held in memory at a time: a project may have hundreds of thousands
EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Parent = dict[str, Any]


@dataclass(frozen=True)
class Due:
    """Rows of `model` whose `mark` is older than their `moved`; `gives` is told to queries and children.

    `only`: which rows at all. `again`: rows that are due whatever their mark says when open things are
    looked at once more. Without `moved` a row is asked about once, for ever.
    """

    model: type[models.Model]
    key: str
    mark: str
    moved: str = "updated_at"
    gives: tuple[str, ...] = ("iid",)
    only: Callable[[Reading], Q] | None = None
    again: Q | None = None

    def count(self, reading: Reading) -> int:
        """How many rows are due."""
        return self._late(reading).count()

    def oldest(self, reading: Reading) -> dt.datetime:
        """The earliest change that is due."""
        return self._late(reading).aggregate(oldest=Min(self.moved))["oldest"] or EVER

    def among(self, reading: Reading, keys: Collection[Any]) -> dict[Any, Parent]:
        """Of these keys, the rows that are due."""
        return self._told(self._late(reading).filter(**{f"{self.key}__in": keys}))

    def slices(self, reading: Reading) -> Iterator[list[Parent]]:
        """All due rows by key, some at a time; `seen_at` is the change that their details will stand for."""
        last: Any = None
        while True:
            late = self._late(reading)
            rows = late if last is None else late.filter(**{f"{self.key}__gt": last})
            found = self._told(rows.order_by(self.key)[:SLICE])
            if not found:
                return
            yield list(found.values())
            last = max(found)

    def _late(self, reading: Reading) -> models.QuerySet[Any]:
        late = Q(**{f"{self.mark}__isnull": True})
        if self.moved:
            late |= Q(**{f"{self.mark}__lt": F(self.moved)})
        if self.again is not None and reading.again:
            late |= self.again
        if self.only is not None:
            late &= self.only(reading)
        if issubclass(self.model, Removable):
            late &= Q(deleted_at__isnull=True)
        place = reading.place
        return self.model._default_manager.filter(late, project_id__in=place.within or {place.project_id})

    def _told(self, rows: models.QuerySet[Any]) -> dict[Any, Parent]:
        wanted = {self.key, *self.gives, *([self.moved] if self.moved else [])}
        return {
            row[self.key]: {**row, "seen_at": (row[self.moved] if self.moved else None) or EVER}
            for row in rows.values(*sorted(wanted))
        }

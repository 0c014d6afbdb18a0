"""Lists that move while they are read, in every order that the endpoint table asks for."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

from apps.collector.tests.builders import START
from apps.collector.tests.server import Asked, Reply, answer

BEGIN = START + dt.timedelta(days=1)


def iso(moment: dt.datetime) -> str:
    """As GitLab writes an instant."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Row:
    number: int
    at: dt.datetime
    version: int = 0


@dataclass
class MovingList:
    """A list of one project, on a server whose clock goes on with each thing that happens.

    `order`: updated_at (ascending from a bound), created_at (newest first, bounded by the day) or name.
    A page holds `size` rows whatever is asked, and no more than `alike` rows have one and the same moment.
    While `restless`, things happen before every answer.
    """

    rng: random.Random
    order: str
    size: int
    alike: int
    rows: dict[int, Row] = field(default_factory=dict)
    clock: dt.datetime = BEGIN
    restless: bool = True
    requests: int = 0

    def __post_init__(self) -> None:
        for number in self.rng.sample(range(90), self.rng.randint(6, 24)):
            self.rows[number] = Row(number, self._moment())
            self._tick()
        if self.rng.random() < 0.4:
            self._edit_many()

    def answer(self, asked: Asked) -> Reply:
        """A page, after whatever happened meanwhile."""
        self.requests += 1
        if self.restless:
            for _ in range(self.rng.choice((0, 0, 0, 1, 2))):
                self._happen()
        rows, page = self._wanted(asked.query), int(asked.query.get("page", 1))
        some = rows[(page - 1) * self.size : page * self.size]
        more = str(page + 1) if page * self.size < len(rows) else ""
        date = format_datetime(self.clock, usegmt=True)
        return answer([self._written(row) for row in some], **{"X-Next-Page": more, "Date": date})

    def _wanted(self, query: dict[str, str]) -> list[Row]:
        rows = list(self.rows.values())
        if self.order == "updated_at":
            after = dt.datetime.fromisoformat(query["updated_after"])
            found = [row for row in rows if row.at >= after]
            return sorted(found, key=lambda row: (row.at, row.number))
        if self.order == "created_at":
            after = dt.datetime.fromisoformat(query["after"] + "T00:00Z")
            found = [row for row in rows if row.at >= after]
            return sorted(found, key=lambda row: (row.at, row.number), reverse=True)
        return sorted(rows, key=lambda row: row.number)

    def _written(self, row: Row) -> dict[str, Any]:
        at = iso(row.at)
        return {"id": row.number, "iid": row.number, "name": f"{row.number:03}", "title": str(row.version),
                "state": "opened", "created_at": at, "updated_at": at,
                "commit": {"id": str(row.version)}, "push_data": {"ref": str(row.version)}}  # fmt: skip

    # --- what happens ------------------------------------------------------------------------

    def _tick(self) -> None:
        self.clock += dt.timedelta(seconds=self.rng.choice((0, 0, 0.001, 1, 60, 400)))

    def _moment(self) -> dt.datetime:
        while sum(row.at == self.clock for row in self.rows.values()) >= self.alike:
            self.clock += dt.timedelta(milliseconds=1)
        return self.clock

    def _happen(self) -> None:
        self._tick()
        act = self.rng.random()
        if act < 0.25 or not self.rows:
            number = self.rng.randrange(100, 1000) if self.order != "name" else self.rng.randrange(1000)
            self.rows.setdefault(number, Row(number, self._moment()))
        elif act < 0.45:
            del self.rows[self.rng.choice(sorted(self.rows))]
        elif self.order == "created_at":
            return  # what happened does not change
        elif act < 0.93:
            self._touch(self.rng.choice(sorted(self.rows)))
        else:
            self._edit_many()

    def _edit_many(self) -> None:
        if self.order != "created_at":
            for number in self.rng.sample(sorted(self.rows), self.rng.randint(0, len(self.rows))):
                self._touch(number)

    def _touch(self, number: int) -> None:
        row = self.rows[number]
        self.rows[number] = Row(number, self._moment(), row.version + 1)

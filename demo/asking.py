"""What a REST route is asked: the site, the project, the parameters, and how lists are narrowed and
ordered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from demo.entities import Project
from demo.paging import Params, bad
from demo.render import Render
from demo.times import parse
from demo.world import World


@dataclass(slots=True)
class Asked:
    """One request that found its route. `parts` are the pieces of the path."""

    world: World
    show: Render
    params: Params
    parts: dict[str, str]
    token: str = ""
    project: Project = field(default=None)  # type: ignore[assignment]

    def text(self, name: str) -> str:
        """A parameter's last value, empty if absent."""
        values = self.params.get(name)
        return values[-1] if values else ""

    def flag(self, name: str) -> bool:
        """A boolean parameter."""
        return self.text(name) in ("true", "1")

    def values(self, name: str) -> list[str]:
        """A list parameter in any of its spellings: a,b or name[]=a&name[]=b."""
        single = [value for text in self.params.get(name, ()) for value in text.split(",") if value]
        return single + self.params.get(f"{name}[]", [])

    def moment(self, name: str) -> int | None:
        """A time parameter. Raises Refusal for nonsense."""
        if not (text := self.text(name)):
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise bad(f"{name} is invalid") from error

    def choice(self, name: str, allowed: Iterable[str], default: str) -> str:
        """One of a few words. Raises Refusal for others."""
        if not (text := self.text(name)):
            return default
        if text not in allowed:
            raise bad(f"{name} does not have a valid value")
        return text


def between(asked: Asked, rows: list[Any], name: str, get: Callable[[Any], int | None]) -> list[Any]:
    """Rows whose instant lies within name_after and name_before, both bounds included."""
    after, before = asked.moment(f"{name}_after"), asked.moment(f"{name}_before")
    if after is not None:
        rows = [row for row in rows if (at := get(row)) is not None and at >= after]
    if before is not None:
        rows = [row for row in rows if (at := get(row)) is not None and at <= before]
    return rows


def by_update(asked: Asked, key: tuple[str, ...], rows: Callable[[], Iterable[Any]]) -> list[Any]:
    """All rows that can pass updated_after, in order of update and id. Long lists are asked for page by page,
    so the order is kept until time passes.
    """
    kept = asked.world.kept
    if (found := kept.get(key)) is None:
        found = kept[key] = sorted(rows(), key=attrgetter("updated", "id"))
    after = asked.moment("updated_after")
    return found if after is None else found[bisect_left(found, after, key=attrgetter("updated")) :]


def ordered(
    asked: Asked,
    rows: list[Any],
    fields: dict[str, str],
    *,
    default: str,
    sort: str = "desc",
    tie_desc: bool = False,
    already: str = "",
) -> list[Any]:
    """In the asked order, ties by id. `already`: the field by which the rows stand in ascending order."""
    name = fields[asked.choice("order_by", fields, default)]
    down = asked.choice("sort", ("asc", "desc"), sort) == "desc"
    if name == already:
        return rows[::-1] if down else rows
    if name == "id":
        return sorted(rows, key=attrgetter("id"), reverse=down)
    rows = sorted(rows, key=attrgetter("id"), reverse=down or tie_desc)
    get = attrgetter(name)
    some, none = [row for row in rows if get(row) is not None], [row for row in rows if get(row) is None]
    some.sort(key=get, reverse=down)
    return [*none, *some] if down else [*some, *none]


def same(asked: Asked, rows: list[Any], **fields: str) -> list[Any]:
    """Rows that have the asked values: parameter name to dotted attribute."""
    for name, attribute in fields.items():
        if wanted := asked.text(name):
            get = attrgetter(attribute)
            rows = [row for row in rows if str(get(row)) == wanted]
    return rows

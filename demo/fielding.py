"""The table of GraphQL fields and the short words in which it is written.

A field is a function of (entity, context), with keywords where it takes arguments; an attribute's name stands
for reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from demo.connections import connect
from demo.times import iso_seconds

Resolver = Callable[..., Any]
FIELDS: dict[str, dict[str, Resolver]] = {}


def plain(type_: str, **fields: str | Resolver) -> None:
    """Fields of a type."""
    known = FIELDS.setdefault(type_, {})
    for name, how in fields.items():
        known[name] = attribute(how) if isinstance(how, str) else how


def attribute(name: str) -> Resolver:
    """Read it as it is."""
    get = attrgetter(name)
    return lambda entity, context: get(entity)


def time(name: str) -> Resolver:
    """An instant in whole seconds, or null."""
    get = attrgetter(name)
    return lambda entity, context: iso_seconds(get(entity))


def gid(kind: str, name: str = "id") -> Resolver:
    """A global id: the part after the last slash is REST's."""
    get, start = attrgetter(name), f"gid://gitlab/{kind}/"
    return lambda entity, context: f"{start}{get(entity)}"


def upper(name: str) -> Resolver:
    """An enum's name."""
    get = attrgetter(name)
    return lambda entity, context: get(entity).upper()


def text(name: str) -> Resolver:
    """A number written out, as iids are."""
    get = attrgetter(name)
    return lambda entity, context: str(get(entity))


def always(value: Any) -> Resolver:
    """The same for every entity."""
    return lambda entity, context: value


def itself(entity: Any, context: Any) -> Any:
    """An object that the schema parts from its owner and we do not."""
    return entity


def nested(get: Callable[[Any], list[Any]]) -> Resolver:
    """A connection over a list that the entity holds, in its order."""
    return lambda entity, context, **args: connect(get(entity), args, context=context)

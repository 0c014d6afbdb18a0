"""The words in which the endpoint table says where a column comes from. Knows no endpoint.

A path such as "author.id" is looked up in one item of an answer, `None` at any broken step. Paths are
declared, so that an answer is decoded into exactly the shape that is read and the rest is never built.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings

from apps.collector.normalise import EARLIEST, Ahead, Unfit, instant

Read = Callable[[Any, Any, Mapping[str, Any]], Any]

_MAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+\.[^\s@<>\"'(),;:]+")
_FRACTION = re.compile(r"\.\d+")
_REVERTED_COMMIT = re.compile(r"This reverts commit ([0-9a-f]{7,64})")
_REVERTED_MR = re.compile(r"This reverts merge request (?:[\w./-]+)?!(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Field:
    """How one column is read: `read(item, document, given)`; `paths` are what it looks at in the item.

    `attribute`: set where the value is just that attribute of the item. `routes`: set where it is just what
    stands at the first of these that is not null.
    """

    read: Read
    paths: tuple[str, ...] = ()
    attribute: str = ""
    routes: tuple[tuple[str, ...], ...] = ()


def dig(item: Any, names: tuple[str, ...]) -> Any:
    """The value under a path of attributes, None where it breaks off."""
    for name in names:
        if item is None:
            return None
        item = getattr(item, name)
    return item


def at(*paths: str) -> Field:
    """The value at the first path that has one."""
    routes = tuple(tuple(path.split(".")) for path in paths)
    if len(routes) == 1 and len(routes[0]) == 1:
        (name,) = routes[0]
        return Field(lambda item, document, given: getattr(item, name), paths, attribute=name, routes=routes)
    if len(routes) == 1:
        (route,) = routes
        return Field(lambda item, document, given: dig(item, route), paths, routes=routes)

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        return next((value for route in routes if (value := dig(item, route)) is not None), None)

    return Field(read, paths, routes=routes)


when = at  # an instant: the column's type decides how it is read, the word is for the reader


def given(name: str) -> Field:
    """What the scan knows and the answer does not say, such as the project."""
    return Field(lambda item, document, given: given.get(name))


def always(value: Any) -> Field:
    """The same in every row."""
    return Field(lambda item, document, given: value)


def through(function: Callable[[Any], Any], *paths: str) -> Field:
    """A named function of the value at the first path that has one; null stays null."""
    inner = at(*paths).read

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        value = inner(item, document, given)
        return None if value is None else function(value)

    return Field(read, paths)


def position(path: str) -> Field:
    """Where the item stands in the list at this path of the document, from 0."""
    route = tuple(path.split("."))

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> int | None:
        items = dig(document, route) or ()
        return next((place for place, one in enumerate(items) if one is item), None)

    return Field(read)


def numbers(path: str) -> Field:
    """The ids of a list of objects."""

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> list[int] | None:
        found = getattr(item, path)
        return None if found is None else [one.id for one in found if one and isinstance(one.id, int)]

    return Field(read, (f"{path}[].id",))


# --- named functions -------------------------------------------------------------------------


def _number_of(value: Any) -> Any:
    return value.rpartition("/")[2] if isinstance(value, str) else value


def gid(*paths: str) -> Field:
    """The number at the end of a GraphQL id."""
    return through(_number_of, *paths)


def lower(*paths: str) -> Field:
    """GraphQL shouts its enumerations; REST whispers them, and so do our tables."""
    return through(lambda value: value.lower() if isinstance(value, str) else value, *paths)


def masked(*paths: str) -> Field:
    """Text with any e-mail address in it taken out."""
    return through(_without_mail, *paths)


def _without_mail(value: Any) -> Any:
    has_mail = isinstance(value, str) and "@" in value  # the pattern is slow to find that there is none
    return _MAIL.sub("[e-mail]", value) if has_mail else value


def hash_email(value: Any) -> str | None:
    """A keyed hash of an address (HMAC-SHA-256 of it in NFKC, trimmed, lower): a plain one is guessed."""
    if not isinstance(value, str):
        raise Unfit("is not text")
    return _keyed_hash(value, settings.TEM_EMAIL_HASH_KEY)


@lru_cache(maxsize=4096)
def _keyed_hash(value: str, key: str) -> str | None:
    plain = unicodedata.normalize("NFKC", value).strip().lower()
    if not plain:
        return None
    return hmac.new(key.encode(), plain.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def email_hash(*paths: str) -> Field:
    """The keyed hash of an e-mail address; the address itself goes no further."""
    return through(hash_email, *paths)


def _reverted_commit(message: Any) -> str | None:
    found = _REVERTED_COMMIT.search(message) if isinstance(message, str) else None
    return found[1] if found else None


def reverts_commit(*paths: str) -> Field:
    """The SHA in «This reverts commit …»; the message is dropped."""
    return through(_reverted_commit, *paths)


def _reverted_merge_request(message: Any) -> int | None:
    found = _REVERTED_MR.search(message) if isinstance(message, str) else None
    return int(found[1]) if found else None


def reverts_merge_request(*paths: str) -> Field:
    """The number in «This reverts merge request !…»; the message is dropped."""
    return through(_reverted_merge_request, *paths)


def _plausible(value: Any) -> Any:
    try:
        moment = instant(value)
    except Unfit:
        return None
    return moment if moment >= EARLIEST else None


def commit_time(*paths: str) -> Field:
    """A committer sets any clock: what is no instant since 1970 is unknown, and the commit stays in the
    graph.

    The last path that is plausible and not in the future wins; `at_least_epoch` fills in where one is
    compulsory.
    """
    inner = tuple(at(path).read for path in paths)

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        latest = given["latest"]
        moments = (_plausible(one(item, document, given)) for one in inner)
        return next((moment for moment in moments if moment is not None and moment <= latest), None)

    return Field(read, paths)


def commit_time_or_epoch(*paths: str) -> Field:
    """As commit_time; 1970 where no clock told the truth: outside every window, inside the graph."""
    inner = commit_time(*paths)

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        return inner.read(item, document, given) or EARLIEST

    return Field(read, paths)


def whole_seconds(*paths: str, where: str) -> Field:
    """An instant without its fraction on servers whose GraphQL has the field `where` (`Type.field`): there a
    row comes by either route, and must not change with the route.
    """
    inner = at(*paths)
    kind, _, name = where.partition(".")

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        value = inner.read(item, document, given)
        if isinstance(value, str) and name in given["server_fields"].get(kind, ()):
            return _FRACTION.sub("", value)
        return value

    return Field(read, paths)


def planned(*paths: str) -> Field:
    """An instant that may honestly lie ahead, such as a release that is announced."""

    def check(value: Any) -> Any:
        moment = instant(value)
        return Ahead(moment.isoformat()) if EARLIEST.year <= moment.year < 2200 else value

    return through(check, *paths)


def access(level: str, flag: str) -> Field:
    """An access level; from the older boolean where a server has no levels."""
    inner = at(level, flag)

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        value = inner.read(item, document, given)
        return {True: "enabled", False: "disabled"}.get(value, value) if isinstance(value, bool) else value

    return Field(read, inner.paths)


def present(path: str, *, known: str) -> Field:
    """Whether there is something at the path; null where this server has no such field (`Type.field`)."""
    inner = at(path)
    kind, _, name = known.partition(".")

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> bool | None:
        if name not in given["server_fields"].get(kind, ()):
            return None
        return inner.read(item, document, given) is not None

    return Field(read, (path,))

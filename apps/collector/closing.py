"""Which issues a merge request closes, read offline from the words in which GitLab itself looks for them.

GitLab's documented default closing pattern: a closing word, perhaps a colon, then references with commas or
«and» between them. Where its answer may be another one (a reference inside code or a quotation, a project
that we do not know by that path or that closes no issues, a server with words of its own) this does not
guess: the merge request is left for GitLab to answer. The texts are looked at on arrival and dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.collector.fields import Field, dig
from apps.collector.tables import Finder, Given

CUSTOM = "closing words of its own"  # among what a server can do, where they are not GitLab's default
_PATH = r"[A-Za-z0-9_][\w.-]*(?:/[A-Za-z0-9_][\w.-]*)*"
_REFERENCE = (
    rf"(?:(?P<path>{_PATH})?#(?P<iid>\d{{1,18}})\b"
    rf"|https?://[^\s/]+/(?P<site>{_PATH})(?:/-)?/(?:issues|work_items)/(?P<number>\d{{1,18}})\b)"
)
_WORD = re.compile(
    r"\b(?:[Cc]los(?:e[sd]?|ing)|[Ff]ix(?:e[sd]|ing)?|[Rr]esolv(?:e[sd]?|ing)|[Ii]mplement(?:s|ed|ing)?):? +"
)
_NEXT = re.compile(rf"(?:issues? +)?{_REFERENCE}")
_BETWEEN = re.compile(r" *,? +and +| *,? *")
_ANY = re.compile(_REFERENCE)
_HIDDEN = re.compile(r"`|^\s*>|<!--|<code|<pre|~~~", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Link:
    """An issue that is closed: the number of its project, and its own number there."""

    project_id: str
    iid: int


def references(text: str) -> Iterator[tuple[str, int]]:
    """(path or "", number) of each issue that the text closes by the default pattern, in order."""
    for word in _WORD.finditer(text):
        place = word.end()
        while found := _NEXT.match(text, place):
            yield found["path"] or found["site"] or "", int(found["iid"] or found["number"])
            place = _BETWEEN.match(text, found.end()).end()  # type: ignore[union-attr]  # it matches nothing too


def _texts(document: Any, paths: tuple[str, ...]) -> list[str]:
    found: list[Any] = []
    for path in paths:
        where, _, name = path.partition("[].")
        if not name:
            found.append(dig(document, tuple(path.split("."))))
            continue
        found += [getattr(item, name) for item in dig(document, tuple(where.split("."))) or () if item]
    return [text for text in found if isinstance(text, str)]


def _links(texts: list[str], *, own: int, numbers: Mapping[str, int], is_default: bool) -> list[Link] | None:
    """None: only GitLab can tell."""
    found: dict[Link, None] = {}
    closable = set(numbers.values())
    for text in texts:
        if (_HIDDEN.search(text) or not is_default) and _ANY.search(text):
            return None
        for path, iid in references(text):
            project = own if not path else numbers.get(path)
            if project is None or project not in closable:
                return None
            found[Link(str(project), iid)] = None
    return list(found)


def closed_issues(*paths: str) -> Finder:
    """The links in the texts at these paths of a merge request's document; None where it is for GitLab to
    say."""

    def items(document: Any, given: Given) -> list[Any] | None:
        is_default = CUSTOM not in given["server_fields"]
        texts = _texts(document, paths)
        return _links(texts, own=given["project_id"], numbers=given["numbers"], is_default=is_default)

    return Finder(items, paths)


def told_offline(finder: Finder) -> Field:
    """`seen_at` where the links were found offline; null where GitLab is still to be asked."""

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> Any:
        return None if finder.items(document, given) is None else given["seen_at"]

    return Field(read, finder.paths)

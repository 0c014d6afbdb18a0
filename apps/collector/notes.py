"""What a note on a merge request says that happened. The text is looked at here and goes no further."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apps.collector.fields import Field, at

_BY_ACTION = {
    "approved": "approved", "unapproved": "unapproved", "closed": "closed", "merged": "merged",
    "commit": "commit", "opened": "reopened",
}  # fmt: skip

# System notes are stored in English; the wording has changed over the years, so action first, text second.
_BY_TEXT = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"approved this merge request", "approved"),
        (r"unapproved this merge request", "unapproved"),
        (r"(?:un|re)marked (?:this merge request )?as (?:an? )?\W*(?:work in progress|wip|draft)", "ready"),
        (r"marked (?:this merge request )?as (?:an? )?\W*(?:work in progress|wip|draft)", "draft"),
        (r"marked (?:this merge request )?as \W*ready", "ready"),
        (r"closed(?:\s+via\b.*)?\s*$", "closed"),
        (r"reopened(?:\s+via\b.*)?\s*$", "reopened"),
        (r"merged(?:\s+via\b.*)?\s*$", "merged"),
        (r"added \d+ (?:new )?commits?", "commit"),
    )
)


def kind_of(*, system: Any, action: Any, body: Any) -> str | None:
    """The kind of event, None for what no metric asks about (labels, assignees, mentions, ...)."""
    if system is not True:
        return "note"
    if isinstance(action, str) and action in _BY_ACTION:
        return _BY_ACTION[action]
    if isinstance(action, str) and action != "title":
        return None
    if not isinstance(body, str):
        return None
    return next((kind for pattern, kind in _BY_TEXT if pattern.match(body)), None)


def note_kind(*, system: str, body: str, action: str | None = None) -> Field:
    """The kind of event that a note is, by its action where the server tells it, else by its text."""
    paths = (system, body, *((action,) if action else ()))
    reads = [at(path).read for path in paths]

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> str | None:
        found = [one(item, document, given) for one in reads]
        return kind_of(system=found[0], body=found[1], action=found[2] if action else None)

    return Field(read, paths)


def unless(field: Field) -> Field:
    """True where a field has no value: such an item is no row."""
    return Field(lambda item, document, given: field.read(item, document, given) is None, field.paths)


def keyed(prefix: str, field: Field) -> Field:
    """A key that says where it comes from, such as note:17."""

    def read(item: Any, document: Any, given: Mapping[str, Any]) -> str | None:
        value = field.read(item, document, given)
        return None if value is None else f"{prefix}:{value}"

    return Field(read, field.paths)

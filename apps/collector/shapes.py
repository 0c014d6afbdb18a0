"""Turns declared paths into typed shapes, so that msgspec builds what is read and skips the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import msgspec

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """One row of an answer that has another shape than GitLab's; the rows beside it were read."""

    payload: bytes
    reason: str
    entity_id: str


def tree_of(paths: Iterable[str]) -> Tree:
    """Paths as nested names. `notes.nodes[]` says that a list of objects stands there."""
    tree: Tree = {}
    for path in sorted(paths):
        node = tree
        for name in path.split("."):
            node = node.setdefault(name, {})
    return tree


def shape_of(name: str, tree: Tree) -> Any:
    """The type of an object with these names, each null where absent."""
    members = []
    for key, inner in tree.items():
        plain = key.removesuffix("[]")
        kind: Any = shape_of(f"{name}_{plain}", inner) | None if inner else Any
        if key.endswith("[]"):
            kind = list[kind] | None
        members.append((plain, kind, None))
    return msgspec.defstruct(name, members, gc=False)


def envelope(inner: Any, path: str) -> Any:
    """`inner` wrapped into the objects of a path, outermost first; every one of them may be null."""

    def wrap(kind: Any, name: str) -> Any:
        return msgspec.defstruct(f"At_{name}", [(name, kind | None, None)], gc=False)

    return reduce(wrap, reversed(path.split(".")), inner) if path else inner


class Reader:
    """Decodes answers that hold a list of one shape, row by row where a page as a whole does not fit."""

    def __init__(self, name: str, paths: Iterable[str]) -> None:
        self.shape = shape_of(name, tree_of(paths))
        self._rows = msgspec.json.Decoder(list[self.shape | None])  # type: ignore[name-defined]
        self._pieces = msgspec.json.Decoder(list[msgspec.Raw])
        self._row = msgspec.json.Decoder(self.shape | None)

    def rows(self, body: bytes) -> list[Any]:
        """Documents and Unread ones, nulls left out. Raises msgspec.DecodeError where it is no list."""
        try:
            return [row for row in self._rows.decode(body) if row is not None]
        except msgspec.DecodeError:
            return self._one_by_one(body)

    def _one_by_one(self, body: bytes) -> list[Any]:
        try:
            pieces = [bytes(piece) for piece in self._pieces.decode(body)]
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            pieces = _forgiving(body)
        rows = [self.row(piece) for piece in pieces]
        return [row for row in rows if row is not None]

    def row(self, piece: bytes) -> Any:
        """One document, None for null, or Unread."""
        try:
            return self._row.decode(piece)
        except msgspec.DecodeError as error:
            return Unread(payload=piece, reason=str(error)[:300], entity_id=_id_of(piece))


def _forgiving(body: bytes) -> list[bytes]:
    """Rows of a page with lone surrogates or broken UTF-8, made clean; raises DecodeError where it is no
    JSON."""
    try:
        rows = json.loads(body.decode("utf-8", "replace"))
    except ValueError as error:
        raise msgspec.DecodeError("broken JSON") from error
    if not isinstance(rows, list):
        raise msgspec.ValidationError("expected a list")
    return [json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") for row in rows]


def _id_of(piece: bytes) -> str:
    try:
        row = json.loads(piece)
    except ValueError:
        return ""
    if not isinstance(row, dict):
        return ""
    return next((str(row[key])[:200] for key in ("id", "tag_name", "name", "sha") if row.get(key)), "")

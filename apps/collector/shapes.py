"""Turns declared paths into typed shapes, so that msgspec builds what is read and skips the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import msgspec

Tree = dict[str, Any]
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # all that a decoder may raise
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")


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
        except UNREADABLE:
            return self._one_by_one(body)

    def _one_by_one(self, body: bytes) -> list[Any]:
        try:
            pieces = [bytes(piece) for piece in self._pieces.decode(body)]
        except msgspec.ValidationError:
            raise
        except UNREADABLE:
            pieces = _forgiving(body)
        rows = [self.row(piece) for piece in pieces]
        return [row for row in rows if row is not None]

    def row(self, piece: bytes) -> Any:
        """One document, None for null, or Unread."""
        try:
            return self._row.decode(piece)
        except UnicodeDecodeError:
            return self.row(piece.decode("utf-8", "replace").encode())
        except (msgspec.DecodeError, RecursionError) as error:
            return Unread(payload=piece, reason=str(error)[:300], entity_id=_id_of(piece))


def _forgiving(body: bytes) -> list[bytes]:
    """Rows of a page with lone surrogates, broken UTF-8, numbers that are none or abysses, made clean where
    that can be done; raises DecodeError where the page is no list of JSON."""
    text = body.decode("utf-8", "replace").strip()
    if text[:1] in ("{", '"'):
        raise msgspec.ValidationError("expected a list")
    return [_cleaned(piece) for piece in _split(text)]


def _split(text: str) -> list[str]:
    """The items of a list as they are written. Counts brackets: it looks into no item, however deep."""
    pieces, depth, start = [], 0, 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        depth += (mark in _OPENING) - (mark in _CLOSING)
        if depth == 0 or (depth == 1 and mark == ","):
            pieces.append(text[start : token.start()])
            start = token.end()
        if depth == 0:
            break
    if depth or text[:1] != "[" or start != len(text):
        raise msgspec.DecodeError("broken JSON")
    return pieces if any(piece.strip() for piece in pieces) else []


def _cleaned(piece: str) -> bytes:
    try:
        return json.dumps(json.loads(piece), ensure_ascii=False).encode("utf-8", "replace")
    except RecursionError:
        return piece.encode("utf-8", "replace")
    except ValueError as error:
        raise msgspec.DecodeError("broken JSON") from error


def _id_of(piece: bytes) -> str:
    try:
        row = json.loads(piece)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(row, dict):
        return ""
    return next((str(row[key])[:200] for key in ("id", "tag_name", "name", "sha") if row.get(key)), "")

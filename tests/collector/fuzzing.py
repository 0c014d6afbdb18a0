"""Good rows made bad, in every way that GitLab, a proxy or a plug-in might."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

# Written where a value stood, so that JSON may hold what Python's own values cannot.
RAW = {
    "@huge": "1" + "0" * 400,
    "@infinity": "Infinity",
    "@nan": "NaN",
    "@minus": "-0",
    "@exponent": "1E999",
    "@surrogate": r'"a\ud800b"',
    "@pair": r'"\ud83d\ude00"',
    "@nul": r'"a\u0000b"',
    "@deep": "[" * 300 + "]" * 300,
    "@abyss": '{"a":' * 6_000 + "1" + "}" * 6_000,
    "@utf8": '"@utf8"',
}
BROKEN_UTF8 = b'"\xff\xfe\xc0a"'
INSTANTS = (
    "99999-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z",
    "0000-00-00T00:00:00Z", "1-01-01", "-4713-01-01T00:00:00Z", "infinity", "-infinity", "epoch", "now",
    "2025-02-30T00:00:00Z", "2025-01-01T00:00:00+99:99", "2025-01-01T24:00:00Z", "2025-01-01 00:00:00 UTC",
    "2025-01-01T00:00:00-14:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-W01-1",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**63 - 1, -(2**63) - 1, 2**64, 1e308, "", " ", "\\N", "\\.",
    "a\tb\nc\rd\\e", "x" * 6_000, "\u202e\u0000", "{}", "[]", "NULL", "'; drop table raw_mr; --",
    "waiting_for_godot", "ann@example.org",
    [], {}, [[]], [None], [{}], [1, "a", None], ["a", 2], {"id": "x"}, {"nodes": None},
    [{"id": 2**70}], ["\u0000"], [["a"]], "12", "gid://gitlab/X/17", "-5", "1e3", *INSTANTS, *RAW,
)  # fmt: skip

Row = Any
TOLD_APART = frozenset({"name", "author_name", "sha", "target", "title", "path_with_namespace"})


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a row, nested ones too."""
    found: list[tuple[Any, ...]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        found += [(*at, name), *places(one, (*at, name))]
    return found


def mutated(rng: random.Random, row: Row, *, keep: str) -> Row:
    """The row with one to three things wrong. `keep`: the attribute that tells rows apart."""
    row = copy.deepcopy(row)
    for _ in range(rng.choice((1, 1, 2, 3))):
        everywhere = [place for place in places(row) if place[0] != keep]
        if not everywhere:
            return row
        *way, last = rng.choice(everywhere)
        holder = row
        for step in way:
            holder = holder[step]
        act = rng.random()
        if act < 0.15:
            del holder[last]
        elif act < 0.25:
            holder[last] = [holder[last]]
        elif act < 0.3 and isinstance(holder, dict):
            holder["never heard of"] = rng.choice(VALUES)
        else:
            holder[last] = copy.deepcopy(rng.choice(VALUES))
    return row


def with_bad_key(rng: random.Random, row: Row, *, key: str, number: int) -> Row:
    """The row with something else for its key; all else that may tell rows apart does."""
    row = {name: f"{value}{number}" if name in TOLD_APART else value for name, value in row.items()}
    row |= {name: number for name in ("iid", "author_id") if name in row}
    if isinstance(row.get("commit"), dict):
        row["commit"] = {**row["commit"], "id": str(number)}
    other = (f"\x00{number}", number + 0.5, [number], {"id": number}, f"{number}/", 2**64 + number)
    return {**row, key: rng.choice(other)}


def no_row(rng: random.Random, number: int) -> Row:
    """Something that is no object at all, different for each number."""
    return rng.choice((number, f"row {number}", [number], [[{"id": number}]], -number - 0.5))


def encoded(rows: list[Row]) -> bytes:
    """As bytes of JSON, more or less."""
    text = json.dumps(rows)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text.encode().replace(RAW["@utf8"].encode(), BROKEN_UTF8)

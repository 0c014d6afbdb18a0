"""A GraphQL query is a file; what the server at hand does not have is cut out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

QUERIES = Path(__file__).parent / "queries"
_CONDITION = re.compile(r"#\s*if\s+(\w+)\.(\w+)\s*$")


@lru_cache(maxsize=64)
def _template(file: str) -> str:
    return (QUERIES / file).read_text(encoding="utf-8")


def query_text(file: str, fields: Mapping[str, list[str]]) -> str:
    """The query without the lines (and blocks) marked `# if Type.field` that this server lacks."""
    kept, depth = [], 0
    for line in _template(file).splitlines():
        code = line.partition("#")[0].rstrip()
        opened = code.count("{") - code.count("}")
        if depth:
            depth += opened
            continue
        condition = _CONDITION.search(line)
        if condition and condition[2] not in fields.get(condition[1], ()):
            depth = opened
            continue
        if code:
            kept.append(code)
    return "\n".join(kept)

"""A GraphQL query is a file, and so is each fragment; what the server at hand lacks is cut out of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

QUERIES = Path(__file__).parent / "queries"
FRAGMENTS = QUERIES / "fragments"
_SPREAD = re.compile(r"\.\.\.(\w+)")
_CONDITION = re.compile(r"#\s*if\s+(\w+)\.(\w+)\s*$")


@lru_cache(maxsize=64)
def _template(file: str) -> str:
    """The query, and behind it every fragment that it spreads, each once."""
    texts, wanted = [(QUERIES / file).read_text(encoding="utf-8")], set[str]()
    for text in texts:
        for name in _SPREAD.findall(text):
            if name not in wanted:
                wanted.add(name)
                texts.append((FRAGMENTS / f"{name}.graphql").read_text(encoding="utf-8"))
    return "\n".join(texts)


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

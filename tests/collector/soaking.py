"""The long column: a seed that is told, and counts that are kept."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping

from django.conf import settings


def seed() -> int:
    """SOAK_SEED, to play a soak again; else a new one."""
    return int(os.environ.get("SOAK_SEED") or secrets.randbelow(10**6))


def keep(name: str, counts: Mapping[str, int]) -> None:
    """Write the counts of a soak beside the logs, and say where."""
    path = settings.TEM_HOME / "soak" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(sorted(counts.items())), indent=1) + "\n")
    print(f"{name}: {json.dumps(dict(counts))} in {path}")

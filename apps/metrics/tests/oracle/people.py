"""Who is a bot, and which rules hold where."""

from __future__ import annotations

import re
from typing import Any

from apps.metrics.tests.oracle.records import History, Project

DEFAULTS: dict[str, dict[str, Any]] = {
    "production": {
        "infer": "best_evidence",
        "signals": ["environment", "release_tag", "default_branch"],
        "environment": "^(prod|production)(/.*)?$",
        "tag": ".*",
    },
    "rollback": {"pattern": r"(?i)\brollback\b", "within_hours": 24},
    "approvals": {"minimum": 0},
    "rework": {"force_pushes": 1},
    "incidents": {"label": "(?i)^(type::)?incident$", "within_hours": 24},
    "bugs": {
        "label": "(?i)^(type::)?bug$",
        "escape_label": "(?i)^(escaped|found-in::production)$",
        "escape_days": 14,
    },
}


def rules_of(history: History, project: Project) -> dict[str, Any]:
    """The narrowest wins, field by field."""
    told = history.rules
    levels = (
        told.get("default", {}),
        told.get("business_lines", {}).get(project.line, {}),
        told.get("teams", {}).get(project.team, {}),
        told.get("repos", {}).get(project.path, {}),
    )
    found: dict[str, Any] = {block: dict(fields) for block, fields in DEFAULTS.items()} | {"sla": []}
    for level in levels:
        for block, said in level.items():
            found[block] = said if block == "sla" else {**found[block], **said}
    return found


def is_bot(history: History, user: int | None) -> bool:
    person = history.people.get(user) if user is not None else None
    if person is None:
        return False
    by_name = re.match(r"^(project|group)_\d+_bot", person.username) is not None
    return bool(person.flagged) or by_name or person.username in history.bot_names

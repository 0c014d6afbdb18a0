"""The rules that METRICS.md marks †: their names, forms and defaults. The only place where a default stands.

A rule is a field here and a column of `placed_project`. In the org file and in the admin the part before
the first underscore is its block: `production_infer` is `production: {infer: ...}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as wrong:
        raise ValueError(f"is no regular expression: {wrong}") from None
    return pattern


Pattern = Annotated[str, Field(max_length=500), AfterValidator(_compiles)]
Signal = Literal["environment", "release_tag", "default_branch"]


class SlaTarget(BaseModel):
    """Issues that carry exactly this label are due this many hours after they were created."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(min_length=1, max_length=255)
    hours: int = Field(gt=0, le=24 * 3660)


class Rules(BaseModel):
    """One complete set of rules: what is in force for one project."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    production_infer: Literal["best_evidence", "any", "all"] = "best_evidence"
    production_signals: tuple[Signal, ...] = ("environment", "release_tag", "default_branch")
    production_environment: Pattern = r"^(prod|production)(/.*)?$"
    production_tag: Pattern = r".*"
    rollback_pattern: Pattern = r"(?i)\brollback\b"
    rollback_within_hours: int = Field(default=24, gt=0, le=24 * 366)
    approvals_minimum: int = Field(default=0, ge=0, le=100)
    rework_force_pushes: int = Field(default=1, ge=0, le=1000)
    sla: tuple[SlaTarget, ...] = ()
    bugs_label: Pattern = r"(?i)^(type::)?bug$"
    bugs_escape_label: Pattern = r"(?i)^(escaped|found-in::production)$"
    bugs_escape_days: int = Field(default=14, gt=0, le=3660)
    incidents_label: Pattern = r"(?i)^(type::)?incident$"
    incidents_within_hours: int = Field(default=24, gt=0, le=24 * 366)


def block_and_field(rule: str) -> tuple[str, str | None]:
    """Where a rule stands in the org file.

    >>> block_and_field("production_infer"), block_and_field("sla")
    (('production', 'infer'), ('sla', None))
    """
    block, _, field = rule.partition("_")
    return block, field or None


def flatten(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """The nested blocks of the org file as rule names.

    >>> flatten({"production": {"infer": "any"}, "sla": []})
    {'production_infer': 'any', 'sla': []}
    """
    flat: dict[str, Any] = {}
    for block, content in blocks.items():
        if isinstance(content, Mapping):
            flat |= {f"{block}_{field}": value for field, value in content.items()}
        else:
            flat[block] = content
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `flatten`, in the order in which the rules are declared."""
    blocks: dict[str, Any] = {}
    for rule in (name for name in Rules.model_fields if name in flat):
        block, field = block_and_field(rule)
        if field is None:
            blocks[block] = flat[rule]
        else:
            blocks.setdefault(block, {})[field] = flat[rule]
    return blocks


def narrowed(levels: Iterable[Mapping[str, Any]]) -> Rules:
    """The rules in force where `levels` apply, widest first: the narrowest wins, field by field."""
    merged: dict[str, Any] = {}
    for level in levels:
        merged |= level
    return Rules.model_validate(merged)


def plain(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Checked rule values as JSON has them. Raises pydantic's ValidationError."""
    checked = Rules.model_validate(dict(rules))
    return {name: value for name, value in checked.model_dump(mode="json").items() if name in rules}

"""Who owns a path and which rules are in force for it. Knows paths, not GitLab."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apps.orgmap.models import BusinessLine, Claim, Organisation, RuleChange, Team
from apps.orgmap.rules import Rules, narrowed

UNPLACED = "Unplaced"
PLACEMENT = "placement"
"""The name under which changes of the tree itself are recorded: they move the version, but are no rule."""


class Place(NamedTuple):
    business_line: str
    team: str


@dataclass(frozen=True)
class OrgMap:
    """The organisation at one moment, read once and asked often."""

    name: str
    root_groups: list[str]
    bots: frozenset[str]
    version: int
    lines: list[str]
    teams: dict[str, str]
    groups: Mapping[str, Place] = field(repr=False)
    projects: Mapping[str, Place] = field(repr=False)
    overrides: Mapping[tuple[str, str], dict[str, Any]] = field(repr=False)

    @classmethod
    def load(cls) -> OrgMap:
        """The org map as the database has it. Raises Organisation.DoesNotExist before the first import."""
        organisation = Organisation.objects.get()
        claims = [
            (c.kind, c.path, _place_of(c))
            for c in Claim.objects.select_related("business_line", "team__business_line")
        ]
        version, overrides = in_force()
        return cls(
            name=organisation.name,
            root_groups=list(organisation.root_groups),
            bots=frozenset(organisation.bots),
            version=version,
            lines=list(BusinessLine.objects.values_list("name", flat=True)),
            teams=dict(Team.objects.values_list("name", "business_line__name")),
            groups={path: place for kind, path, place in claims if kind == Claim.Kind.GROUP},
            projects={path: place for kind, path, place in claims if kind == Claim.Kind.PROJECT},
            overrides=overrides,
        )

    def place(self, path: str) -> Place:
        """The line and team of a project: its own claim, else the longest claimed group that holds it."""
        if path in self.projects:
            return self.projects[path]
        group = path
        while "/" in group:
            group = group.rpartition("/")[0]
            if group in self.groups:
                return self.groups[group]
        return Place(UNPLACED, UNPLACED)

    def rules(self, path: str) -> Rules:
        """The rules in force for a project: default, then line, team, repo."""
        place = self.place(path)
        targets = (
            ("default", ""),
            ("business_line", place.business_line),
            ("team", place.team),
            ("repo", path),
        )
        return narrowed(self.overrides.get(target, {}) for target in targets)


def _place_of(claim: Claim) -> Place:
    if claim.team is not None:
        return Place(claim.team.business_line.name, claim.team.name)
    assert claim.business_line is not None  # the table's check constraint says so
    return Place(claim.business_line.name, f"{UNPLACED} ({claim.business_line.name})")


def in_force() -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    """The newest rules version, and per (level, target) the overrides in force."""
    newest = 0
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for change in RuleChange.objects.order_by("version"):
        newest = change.version
        if change.rule == PLACEMENT:
            continue
        level = found[change.level, change.target]
        if change.value is None:
            level.pop(change.rule, None)
        else:
            level[change.rule] = change.value
    return newest, {target: rules for target, rules in found.items() if rules}

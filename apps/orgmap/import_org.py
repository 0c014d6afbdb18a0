"""Bringing the org file into the database and back. After the first import the database is the truth."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction

from apps.orgmap.models import BusinessLine, Claim, Organisation, RuleChange, Team
from apps.orgmap.org_file import LEVELS, OrgFile, read
from apps.orgmap.place import PLACEMENT, in_force
from apps.orgmap.rules import nest


def seed_if_empty(path: str, *, now: dt.datetime) -> bool:
    """Import the file into an empty database; leave a filled one alone. True if it was imported."""
    with transaction.atomic():
        if Organisation.objects.select_for_update().exists():
            return False
        import_org(read(path), now=now, by="seed", reason="first start")
        return True


@transaction.atomic
def import_org(found: OrgFile, *, now: dt.datetime, by: str, reason: str) -> list[RuleChange]:
    """Make the database say what the file says. Returns the recorded changes, none if it said so already."""
    before = tree()
    _replace_tree(found, now=now)
    changes = _rule_changes(found)
    if (after := tree()) != before:
        changes.append(("default", "", PLACEMENT, after))
    recorded = [
        RuleChange(
            level=level, target=target, rule=rule, value=value, changed_at=now, changed_by=by, reason=reason
        )
        for level, target, rule, value in changes
    ]
    return RuleChange.objects.bulk_create(recorded)


def _replace_tree(found: OrgFile, *, now: dt.datetime) -> None:
    Claim.objects.all().delete()
    Team.objects.exclude(
        name__in=[team.name for line in found.business_lines for team in line.teams]
    ).delete()
    for part in found.business_lines:
        line, _ = BusinessLine.objects.update_or_create(name=part.name, defaults={"owner": part.owner})
        _claim(Claim.Kind.GROUP, part.groups, business_line=line)
        for member in part.teams:
            team, _ = Team.objects.update_or_create(
                name=member.name, defaults={"owner": member.owner, "business_line": line}
            )
            _claim(Claim.Kind.GROUP, member.groups, team=team)
            _claim(Claim.Kind.PROJECT, member.projects, team=team)
    BusinessLine.objects.exclude(name__in=[part.name for part in found.business_lines]).delete()
    Organisation.objects.exclude(name=found.org).delete()
    Organisation.objects.update_or_create(
        name=found.org, defaults={"root_groups": found.root_groups, "bots": found.bots, "imported_at": now}
    )


def _claim(kind: str, paths: list[str], **owner: Any) -> None:
    Claim.objects.bulk_create(Claim(kind=kind, path=path, **owner) for path in paths)


def _rule_changes(found: OrgFile) -> list[tuple[str, str, str, Any]]:
    _, standing = in_force()
    wanted = found.overrides()
    changes: list[tuple[str, str, str, Any]] = []
    for level, target in sorted(standing.keys() | wanted.keys()):
        old, new = standing.get((level, target), {}), wanted.get((level, target), {})
        changed = sorted(rule for rule in old.keys() | new.keys() if old.get(rule) != new.get(rule))
        changes += [(level, target, rule, new.get(rule)) for rule in changed]
    return changes


def tree() -> dict[str, Any]:
    """The organisation without its rules, in the org file's form; empty before the first import."""
    organisation = Organisation.objects.first()
    if organisation is None:
        return {}
    lines = BusinessLine.objects.prefetch_related("claim_set", "teams__claim_set")
    return {
        "org": organisation.name,
        "business_lines": [
            {
                "name": line.name,
                "owner": line.owner,
                "groups": _paths(line, "group"),
                "teams": [_team(t) for t in line.teams.all()],
            }
            for line in lines
        ],
        "root_groups": organisation.root_groups,
        "bots": organisation.bots,
    }


def _team(team: Team) -> dict[str, Any]:
    return {
        "name": team.name,
        "owner": team.owner,
        "groups": _paths(team, "group"),
        "projects": _paths(team, "project"),
    }


def _paths(owner: BusinessLine | Team, kind: str) -> list[str]:
    return sorted(claim.path for claim in owner.claim_set.all() if claim.kind == kind)


def whole() -> dict[str, Any]:
    """All that the org file can say, as the database has it now."""
    _, standing = in_force()
    rules: dict[str, Any] = {"default": nest(standing.get(("default", ""), {}))}
    for section, level in LEVELS.items():
        rules[section] = {
            target: nest(found) for (at, target), found in sorted(standing.items()) if at == level
        }
    return tree() | {"rules": rules}

"""Where every project stands, by which rules, and which scopes there are. Defaults live in the org map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models, transaction

from apps.collector.models import Project
from apps.metrics.models import PlacedProject, Scope
from apps.orgmap.place import OrgMap
from apps.orgmap.rules import Rules

RULES = tuple(Rules.model_fields)


@transaction.atomic
def place_all(*, org: OrgMap) -> None:
    """Renew `placed_project` and `metric_scope` for every project in scope. Writes only what changed."""
    placed = placement_by(org)
    _replace(PlacedProject, placed, key="project_id")
    _replace_scopes(list(_scopes(org, placed)))


def placement_by(org: OrgMap) -> list[PlacedProject]:
    """Where every project in scope stands by an org map, and by which rules. Writes nothing."""
    projects = Project.objects.filter(in_scope=True).exclude(namespace_kind="user")
    return [_placed(project, org) for project in projects]


def _placed(project: Project, org: OrgMap) -> PlacedProject:
    path = project.path_with_namespace
    place, rules = org.place(path), org.rules(path).model_dump(mode="json")
    return PlacedProject(
        project_id=project.pk,
        path=path,
        business_line=place.business_line,
        team=place.team,
        rules_version=org.version,
        **rules,
    )


def _scopes(org: OrgMap, placed: list[PlacedProject]) -> Iterable[Scope]:
    kind = Scope.Kind
    lines = dict.fromkeys([*org.lines, *(p.business_line for p in placed)])
    teams = {**org.teams, **{p.team: p.business_line for p in placed}}
    yield Scope(key="org", kind=kind.ORG)
    for line in lines:
        yield Scope(key=f"business_line:{line}", kind=kind.BUSINESS_LINE, business_line=line)
    for team, line in teams.items():
        yield Scope(key=f"team:{team}", kind=kind.TEAM, business_line=line, team=team)
    for p in placed:
        yield Scope(
            key=f"repo:{p.path}", kind=kind.REPO, business_line=p.business_line, team=p.team, repo=p.path,
            project_id=p.project_id,
        )  # fmt: skip


def _replace_scopes(scopes: list[Scope]) -> None:
    """A scope that is gone stays as a row, for its values are history; it is only current no more."""
    keys = {scope.key for scope in scopes}
    Scope.objects.filter(is_current=True).exclude(key__in=keys).update(is_current=False)
    known = {scope.key: scope for scope in Scope.objects.filter(key__in=keys)}
    for scope in scopes:
        scope.pk = known[scope.key].pk if scope.key in known else None
    _write(Scope, scopes, {scope.pk: scope for scope in known.values()})


def _replace(model: type[models.Model], rows: list[Any], *, key: str) -> None:
    model._default_manager.exclude(pk__in=[getattr(row, key) for row in rows]).delete()
    _write(model, rows, model._default_manager.in_bulk())


def _write(model: type[models.Model], rows: list[Any], known: dict[Any, Any]) -> None:
    columns = [field.attname for field in model._meta.concrete_fields]
    changed = [
        row for row in rows if row.pk in known and _said(row, columns) != _said(known[row.pk], columns)
    ]
    model._default_manager.bulk_create([row for row in rows if row.pk not in known])
    if changed:
        names = [field.name for field in model._meta.concrete_fields if not field.primary_key]
        model._default_manager.bulk_update(changed, names)


def _said(row: Any, columns: list[str]) -> list[Any]:
    return [list(v) if isinstance(v := getattr(row, column), tuple) else v for column in columns]

"""Where projects stand, by which rules, and which scopes there are."""

from __future__ import annotations

import pytest
from django.db import connection

from apps.collector.models import Project
from apps.metrics.models import PlacedProject, Scope
from apps.metrics.placement import place_all
from apps.metrics.tests import builders
from apps.orgmap.place import OrgMap

ENGINE, STRAY = "toman/exchange/trading/engine", "toman/exchange/lab/stray"


def placed() -> dict[str, tuple[str, str]]:
    return {p.path: (p.business_line, p.team) for p in PlacedProject.objects.all()}


def current() -> set[str]:
    return set(Scope.objects.filter(is_current=True).values_list("key", flat=True))


def versions() -> set[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select path, xmin::text from placed_project union select key, xmin::text from metric_scope"
        )
        return set(cursor.fetchall())


@pytest.mark.django_db
def test_lines_and_teams_without_a_project_are_scopes_too() -> None:
    builders.house(paths={1: ENGINE, 2: STRAY})
    place_all(org=OrgMap.load())
    assert placed() == {ENGINE: ("Exchange", "Trading"), STRAY: ("Exchange", "Unplaced (Exchange)")}
    assert current() == {
        "org", "business_line:Exchange", "business_line:Core/Platform",
        "team:Trading", "team:Custody", "team:SRE", "team:Unplaced (Exchange)",
        f"repo:{ENGINE}", f"repo:{STRAY}",
    }  # fmt: skip


@pytest.mark.django_db
def test_the_narrowest_rule_is_the_one_in_the_row() -> None:
    builders.house(
        rules={
            "default": {"approvals": {"minimum": 1}, "rollback": {"within_hours": 12}},
            "teams": {"Trading": {"rollback": {"within_hours": 6}}},
            "repos": {ENGINE: {"production": {"infer": "any"}}},
        },
        paths={1: ENGINE, 2: STRAY},
    )
    place_all(org=OrgMap.load())
    engine, stray = PlacedProject.objects.get(path=ENGINE), PlacedProject.objects.get(path=STRAY)
    assert (engine.production_infer, engine.rollback_within_hours, engine.approvals_minimum) == ("any", 6, 1)
    assert (stray.production_infer, stray.rollback_within_hours) == ("best_evidence", 12)
    assert engine.rules_version == stray.rules_version == OrgMap.load().version


@pytest.mark.django_db
def test_what_is_out_of_scope_is_placed_nowhere_and_its_scope_is_history() -> None:
    builders.house(paths={1: ENGINE, 2: STRAY, 3: "bob/toys"})
    Project.objects.filter(pk=3).update(namespace_kind="user")
    place_all(org=OrgMap.load())
    assert set(placed()) == {ENGINE, STRAY}
    Project.objects.filter(pk=2).update(in_scope=False)
    place_all(org=OrgMap.load())
    assert set(placed()) == {ENGINE}
    assert f"repo:{STRAY}" not in current()
    assert Scope.objects.filter(key=f"repo:{STRAY}", is_current=False).exists()
    Project.objects.filter(pk=2).update(in_scope=True)
    kept = Scope.objects.get(key=f"repo:{STRAY}").pk
    place_all(org=OrgMap.load())
    assert Scope.objects.get(key=f"repo:{STRAY}", is_current=True).pk == kept


@pytest.mark.django_db
def test_placing_again_writes_nothing() -> None:
    builders.house(
        paths={1: ENGINE, 2: STRAY}, rules={"default": {"sla": [{"label": "SLA::24h", "hours": 24}]}}
    )
    place_all(org=OrgMap.load())
    before = versions()
    place_all(org=OrgMap.load())
    assert versions() == before

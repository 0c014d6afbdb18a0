"""One story a metric, in words that the owner of the definition can check: given, on, expect."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.db import connection

from apps.collector.models import Project
from apps.metrics.evidence import evidence
from apps.metrics.facts import build, deliver
from apps.metrics.models import Scope
from apps.metrics.placement import place_all
from apps.metrics.registry import METRICS
from apps.metrics.rollup import roll_up, stored
from apps.metrics.samples import parameters, placed_rows
from apps.metrics.tests import builders
from apps.metrics.words import Metric
from apps.orgmap.place import OrgMap

CASES = Path(__file__).parent / "cases"
METRICS_PAGE = Path(settings.BASE_DIR).parent / "shared" / "design" / "METRICS.md"
HISTORY = dt.date(2025, 1, 1)
MEASURED = [metric for metric in METRICS if metric.rows]
ONE_REPO = "repo:toman/exchange/trading/engine"


class Stories(yaml.SafeLoader):
    """YAML in which `on` is a word and not a truth value."""


Stories.yaml_implicit_resolvers = {
    first: found for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items() if first not in "oO"
}


def told(story: dict[str, Any]) -> None:
    """Bring the story's rows into the database and compute."""
    builders.house(rules=story.get("rules"))
    for step in story["given"]:
        ((word, columns),) = step.items()
        getattr(builders, word)(**columns)
    computed()


def computed() -> None:
    place_all(org=OrgMap.load())
    for project in Project.objects.values_list("pk", flat=True):
        build(project)
    deliver()


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(CASES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_story_has_the_value_it_says(path: Path) -> None:
    story = yaml.load(path.read_text(encoding="utf-8"), Loader=Stories)  # noqa: S506  # it is a SafeLoader
    metric = next(m for m in METRICS if m.key == path.stem)
    told(story)
    for at in story["expect"]:
        day = at.get("on") or story["on"]
        roll_up(first=day, last=day, history_from=HISTORY)
        for key in ("org", "business_line:Exchange", "team:Trading", ONE_REPO):
            check(metric, key, day, at)


def check(metric: Metric, scope_key: str, day: dt.date, expected: dict[str, Any]) -> None:
    """The stored value is the expected one, and so is the evidence, entity by entity."""
    scope = Scope.objects.get(key=scope_key)
    value = stored(metric, scope, day)
    assert value is not None
    wanted = None if expected["value"] is None else Decimal(str(expected["value"]))
    assert (value.value, value.n, value.reason) == (wanted, expected["n"], expected.get("reason", "")), (
        scope_key
    )
    shown = evidence(metric.key, scope_key, day)
    assert (shown.exact.numerator, shown.exact.denominator, shown.n) == (
        value.numerator,
        value.denominator,
        value.n,
    )


def test_every_measured_metric_has_a_story() -> None:
    assert {path.stem for path in CASES.glob("*.yaml")} == {metric.key for metric in MEASURED}


def test_keys_are_unique_and_everything_is_said() -> None:
    assert len({metric.key for metric in METRICS}) == len(METRICS)
    assert all(metric.title and metric.definition for metric in METRICS)


@pytest.mark.django_db
@pytest.mark.parametrize("metric", MEASURED, ids=lambda m: m.key)
def test_the_sample_of_each_metric_is_sql_that_the_schema_understands(metric: Metric) -> None:
    with connection.cursor() as cursor:
        asked = parameters(metric.window, first=HISTORY, last=HISTORY)
        cursor.execute(f"explain {placed_rows(metric)}", asked)
        assert cursor.fetchall()


def _page_rows() -> dict[str, tuple[str, str, str, str]]:
    """Key -> unit, window, competency letter, direction, as the definitions page has them."""
    found = {}
    for line in METRICS_PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| `") or len(cells) < 7:
            continue
        keys = [key.strip("` ") for key in cells[0].split(",")]
        keys = [keys[0].replace("_p50_h", key) if key.startswith("_") else key for key in keys]
        found.update(dict.fromkeys(keys, (cells[1], cells[2], cells[-2], cells[-1])))
    return found


@pytest.mark.skipif(not METRICS_PAGE.exists(), reason="the definitions page is not beside this checkout")
def test_the_registry_is_the_inventory_of_the_definitions_page() -> None:
    letters = {"DEVOPS": "D", "GIT": "G", "CODE_REVIEW": "R", "OBSERVABILITY": "O"}
    arrows = {"up": "^", "down": "v", "neither": "="}
    ours = {
        m.key: (m.unit.value, m.window.value, letters[m.competency.name], arrows[m.better.value])
        for m in METRICS
        if not m.extra
    }
    assert ours == _page_rows()

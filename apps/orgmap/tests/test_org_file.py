"""The org file: what it may say, what is told about a wrong one, and the way to the database and back."""

import datetime as dt
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from apps.orgmap.errors import OrgFileInvalid
from apps.orgmap.import_org import import_org, seed_if_empty, whole
from apps.orgmap.models import Claim, RuleChange, Team
from apps.orgmap.org_file import OrgFile, read, write
from apps.orgmap.place import OrgMap, Place
from apps.orgmap.rules import Rules

NOW = dt.datetime(2025, 9, 4, 12, tzinfo=dt.UTC)
EXAMPLE = Path(settings.BASE_DIR) / "config" / "org.yaml"
SMALL = {
    "org": "Toman",
    "business_lines": [
        {
            "name": "Exchange",
            "groups": ["toman/exchange"],
            "teams": [
                {
                    "name": "Trading",
                    "groups": ["toman/exchange/trading"],
                    "projects": ["toman/core/price-feed"],
                },
                {"name": "Deep", "groups": ["toman/exchange/trading/deep"]},
            ],
        },
        {"name": "Core/Platform", "groups": ["toman/core"]},
    ],
    "root_groups": ["toman/core", "toman/exchange"],
    "bots": ["Merge Bot"],
    "rules": {
        "default": {"approvals": {"minimum": 1}, "rollback": {"within_hours": 24}},
        "business_lines": {"Exchange": {"approvals": {"minimum": 2}}},
        "teams": {"Trading": {"rollback": {"within_hours": 12}}},
        "repos": {"toman/exchange/trading/engine": {"production": {"infer": "any"}}},
    },
}


def imported(content: dict, **how: str) -> list[RuleChange]:
    return import_org(OrgFile.model_validate(content), now=NOW, by="test", reason=how.get("reason", "why"))


def written(tmp_path: Path, content: dict) -> Path:
    path = tmp_path / "org.yaml"
    path.write_text(write(content), encoding="utf-8")
    return path


def test_the_example_file_is_in_order_and_sets_the_documented_defaults() -> None:
    found = read(EXAMPLE)
    default = Rules.model_validate(found.overrides()["default", ""])
    assert default.model_copy(update={"sla": ()}) == Rules()
    assert [line.name for line in found.business_lines] == [
        "Core/Platform",
        "Corporate Services",
        "Exchange",
        "C-Side",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("toman/exchange/trading/engine", Place("Exchange", "Trading")),
        ("toman/exchange/trading/deep/er/engine", Place("Exchange", "Deep")),
        ("toman/exchange/lonely", Place("Exchange", "Unplaced (Exchange)")),
        ("toman/exchange-old/lonely", Place("Unplaced", "Unplaced")),
        ("toman/core/price-feed", Place("Exchange", "Trading")),
        ("toman/core/price-feed-2", Place("Core/Platform", "Unplaced (Core/Platform)")),
        ("elsewhere/thing", Place("Unplaced", "Unplaced")),
    ],
)
def test_the_longest_group_wins_and_a_single_project_beats_any_group(path: str, place: Place) -> None:
    imported(SMALL)
    assert OrgMap.load().place(path) == place


@pytest.mark.django_db
def test_the_narrowest_rule_wins_field_by_field() -> None:
    imported(SMALL)
    org = OrgMap.load()
    engine = org.rules("toman/exchange/trading/engine")
    assert (engine.production_infer, engine.rollback_within_hours, engine.approvals_minimum) == ("any", 12, 2)
    assert org.rules("toman/core/checkout").approvals_minimum == 1
    assert engine.production_tag == Rules().production_tag


@pytest.mark.django_db
def test_importing_the_same_file_again_changes_nothing() -> None:
    assert imported(SMALL)
    version = OrgMap.load().version
    assert imported(SMALL) == []
    assert OrgMap.load().version == version


@pytest.mark.django_db
def test_a_rule_that_leaves_the_file_is_taken_back_and_its_history_stays() -> None:
    imported(SMALL)
    without = SMALL | {"rules": {"default": {"approvals": {"minimum": 1}}}}
    imported(without, reason="simpler")
    assert OrgMap.load().rules("toman/exchange/trading/engine").approvals_minimum == 1
    history = RuleChange.objects.filter(level="business_line", target="Exchange", rule="approvals_minimum")
    assert [change.value for change in history.order_by("version")] == [2, None]


@pytest.mark.django_db
def test_moving_a_team_is_a_new_version() -> None:
    imported(SMALL)
    before = OrgMap.load().version
    lines = [dict(SMALL["business_lines"][0], teams=[]), SMALL["business_lines"][1]]
    imported(SMALL | {"business_lines": lines, "rules": {}})
    assert OrgMap.load().version > before
    assert not Team.objects.exists()
    assert not Claim.objects.filter(kind="project").exists()


@pytest.mark.django_db
def test_export_writes_what_was_imported(tmp_path: Path) -> None:
    imported(SMALL)
    again = read(written(tmp_path, whole()))
    assert imported(again.model_dump()) == []
    assert yaml.safe_load(write(whole()))["rules"]["teams"] == {"Trading": {"rollback": {"within_hours": 12}}}


@pytest.mark.django_db
def test_a_filled_database_is_not_seeded_again(tmp_path: Path) -> None:
    path = str(written(tmp_path, SMALL))
    assert seed_if_empty(path, now=NOW) is True
    assert seed_if_empty(path, now=NOW) is False


def test_every_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "org.yaml"
    path.write_text(
        "org: Toman\n"
        "business_lines:\n"
        "  - name: Exchange\n"
        "    groups: [toman/exchange]\n"
        "    teams:\n"
        "      - {name: A, groups: [toman/exchange/a]}\n"
        "      - {name: A, groups: [toman/exchange/a]}\n"
        "root_groups: [toman/exchange]\n"
        "rules:\n"
        "  default:\n"
        "    production: {infer: guess}\n"
        "    rollback: {pattern: '('}\n"
        "  teams: {B: {approvals: {minimum: -1}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(OrgFileInvalid) as told:
        read(path)
    lines = [problem.split(":")[0] for problem in told.value.problems]
    assert lines == ["line 7", "line 7", "line 13", "line 11", "line 12", "line 13"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("org: [", "it is no YAML"),
        ("org: Toman\n", "business_lines"),
        ("just words\n", "dictionary"),
        ("org: Toman\nbusiness_lines: [{name: X, group: [a]}]\nroot_groups: [a]\n", "line 2"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "org.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OrgFileInvalid, match=says):
        read(path)


def test_a_missing_file_says_which_setting_names_it(tmp_path: Path) -> None:
    with pytest.raises(OrgFileInvalid, match="TEM_ORG_FILE"):
        read(tmp_path / "absent.yaml")

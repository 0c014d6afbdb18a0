"""The commands as somebody types them."""

import io

import pytest
from django.core.management import CommandError, call_command

from apps.exports.models import Artifact
from apps.exports.tests import house
from apps.exports.tests.contract import KEYS
from apps.metrics.registry import METRICS
from tem import clock

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_export_publishes_a_day(filled, tmp_path, settings):
    settings.TEM_EXPORT_DIR = tmp_path
    assert said("export", "2025-09-04", "--format", "csv").strip() == str(
        tmp_path / "daily" / "2025-09-04.csv"
    )
    assert Artifact.objects.get().format == "csv"


def test_export_puts_copies_where_somebody_wants_them(filled, tmp_path):
    said("export", "2025-09-04", "--out", str(tmp_path / "mine"))
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "2025-09-04.csv",
        "2025-09-04.json",
    ]
    assert not Artifact.objects.exists()


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2025-02-30", "write it as 2025-09-04"),
        ("2024-01-01", "starts on 2025-05-27"),
        ("2099-01-01", "future"),
    ],
)
def test_export_says_what_is_wrong_with_a_day(filled, tmp_path, settings, day, words):
    settings.TEM_EXPORT_DIR = tmp_path
    with pytest.raises(CommandError, match=words):
        said("export", day)


def test_export_calls_today_provisional(built, tmp_path):
    today = str(clock.day_of(clock.now()))
    assert f"{today} is not over" in said("export", today, "--format", "json", "--out", str(tmp_path))


def test_summary_shows_the_org_and_its_lines(built, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    house.value(KEYS[0], "14.0000")
    shown = said("summary")
    assert "Exchange" in shown
    assert METRICS[0].title in shown
    assert METRICS[-1].title not in shown


def test_summary_of_nothing_says_what_to_do(db):
    with pytest.raises(CommandError, match="backfill"):
        said("summary")

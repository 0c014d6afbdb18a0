"""Files are whole, recorded, kept when restated, and finished after a crash."""

import datetime as dt
import hashlib
import json
import os

import pytest

from apps.exports import artifacts
from apps.exports.errors import ExportRefused
from apps.exports.models import Artifact
from apps.exports.tests import house
from apps.exports.tests.contract import KEYS
from apps.orgmap.models import RuleChange
from apps.runs.models import Run

pytestmark = pytest.mark.django_db
DAY = house.DAY


class Died(BaseException):
    """What a kill looks like from inside."""


def write(tmp_path, *days: dt.date, **options) -> list[Artifact]:
    return artifacts.write_days(days or [DAY], directory=tmp_path, now=house.NOW, **options)


def contents(tmp_path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "daily").iterdir()}


def test_the_ledger_names_what_was_written(filled, tmp_path):
    rows = write(tmp_path)
    assert {row.format for row in rows} == {"json", "csv"}
    for row in rows:
        raw = (tmp_path / "daily" / f"{DAY}.{row.format}").read_bytes()
        assert (row.sha256, row.size) == (hashlib.sha256(raw).hexdigest(), len(raw))
        assert (row.version, row.reason, row.run_id) == (1, "", Run.objects.get().pk)


def test_equal_content_is_left_as_it_is_even_by_another_run(filled, tmp_path):
    write(tmp_path)
    before = contents(tmp_path)
    rows = write(tmp_path, run=house.run(state=Run.State.DONE, slot="2025-09-06"))
    assert contents(tmp_path) == before
    assert {row.version for row in rows} == {1}
    assert Artifact.objects.count() == 2


def test_restated_values_are_a_new_version_and_the_old_file_is_kept(filled, tmp_path):
    write(tmp_path)
    before = contents(tmp_path)
    house.value(KEYS[0], "7777.5000")
    write(tmp_path)
    after = contents(tmp_path)
    for form in artifacts.FORMATS:
        assert after[f"{DAY}.v1.{form}"] == before[f"{DAY}.{form}"]
        assert b"7777.5" in after[f"{DAY}.{form}"]
        assert artifacts.newest(DAY, form).reason == "values changed"
        assert artifacts.newest(DAY, form).version == 2


def test_a_change_of_rules_is_the_reason_of_a_restatement(filled, tmp_path):
    write(tmp_path)
    RuleChange.objects.create(level="default", rule="sla", changed_at=house.NOW, changed_by="root")
    write(tmp_path)
    old, new = RuleChange.objects.order_by("version").values_list("version", flat=True)
    assert artifacts.newest(DAY, "json").reason == f"rules {old} -> {new}"
    assert artifacts.newest(DAY, "csv").version == 1


def test_a_changed_day_restates_the_series_that_show_it(filled, tmp_path):
    days = [DAY - dt.timedelta(days=1), DAY]
    write(tmp_path, *days)
    house.value(KEYS[0], "7777.5000", day=days[0])
    write(tmp_path, *days)
    versions = {(row.day, row.format): row.version for row in Artifact.objects.order_by("version")}
    assert versions == {(days[0], "json"): 2, (days[0], "csv"): 2, (DAY, "json"): 1, (DAY, "csv"): 2}


def test_many_days_are_the_days_one_by_one(filled, tmp_path):
    days = [house.FIRST + dt.timedelta(days=n) for n in (0, 1, 2, 50, 100)]
    write(tmp_path / "together", *days)
    Artifact.objects.all().delete()
    for day in days:
        write(tmp_path / "apart", day)
    assert contents(tmp_path / "together") == contents(tmp_path / "apart")


@pytest.mark.parametrize("lived", [0, 1])
def test_a_crash_before_the_name_is_taken_is_finished_by_the_next(filled, tmp_path, monkeypatch, lived):
    renamed = []

    def rename(source, target):
        if len(renamed) == lived:
            raise Died
        renamed.append(target)
        os.rename(source, target)

    write(tmp_path)
    house.value(KEYS[0], "7777.5000")
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", rename)
        with pytest.raises(Died):
            write(tmp_path)
    for form in artifacts.FORMATS:  # whatever happened, a reader finds a whole file
        assert (tmp_path / "daily" / f"{DAY}.{form}").read_bytes().strip().endswith((b"}", b","))
    write(tmp_path)
    assert sorted(contents(tmp_path)) == sorted(f"{DAY}{v}.{f}" for v in ("", ".v1") for f in ("json", "csv"))
    for row in (artifacts.newest(DAY, form) for form in artifacts.FORMATS):
        raw = (tmp_path / "daily" / f"{DAY}.{row.format}").read_bytes()
        assert (row.version, row.sha256) == (2, hashlib.sha256(raw).hexdigest())


def test_a_crash_before_the_ledger_leaves_nothing_behind(filled, tmp_path):
    write(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "daily" / f".{DAY}.json.v2.tmp").write_text("half a fi")
    write(tmp_path)
    assert contents(tmp_path) == before


def test_a_file_that_was_deleted_is_written_again(filled, tmp_path):
    write(tmp_path)
    (tmp_path / "daily" / f"{DAY}.csv").unlink()
    write(tmp_path)
    assert artifacts.newest(DAY, "csv").reason == "the file was missing or damaged"
    assert (tmp_path / "daily" / f"{DAY}.csv").exists()


def test_files_of_an_older_ledger_are_kept(filled, tmp_path):
    write(tmp_path)
    before = contents(tmp_path)
    Artifact.objects.all().delete()
    house.value(KEYS[0], "7777.5000")
    write(tmp_path)
    assert contents(tmp_path)[f"{DAY}.v1.json"] == before[f"{DAY}.json"]
    assert artifacts.newest(DAY, "json").version == 2


def test_today_is_marked_as_provisional(filled, tmp_path):
    today = DAY + dt.timedelta(days=1)
    write(tmp_path, today)
    assert json.loads(contents(tmp_path)[f"{today}.json"])["provisional"] is True


@pytest.mark.parametrize("away", [-101, 2])
def test_days_outside_of_the_history_are_refused(filled, tmp_path, away):
    with pytest.raises(ExportRefused, match="history" if away < 0 else "future"):
        write(tmp_path, DAY + dt.timedelta(days=away))
    assert Artifact.objects.count() == 0


def test_an_empty_house_says_what_to_do(db, tmp_path):
    with pytest.raises(ExportRefused, match="backfill"):
        write(tmp_path)


def test_each_batch_of_files_is_noted_with_the_step(filled, tmp_path):
    class Step:
        rows = 0

        def save(self, *, rows: int = 0) -> None:
            self.rows += rows

    step = Step()
    write(tmp_path, *[DAY - dt.timedelta(days=n) for n in range(20)], step=step)
    assert step.rows == 40

"""What a day's files say, read back by parsers that know nothing of how they were written."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal

import jsonschema
import pytest

from apps.exports import artifacts, summaries
from apps.exports.tests import house
from apps.exports.tests.contract import DAILY, KEYS

pytestmark = pytest.mark.django_db


def published(tmp_path, day: dt.date = house.DAY) -> tuple[dict, list[dict]]:
    """The JSON and the rows of the CSV of a day; numbers as the text they were written in."""
    artifacts.write_days([day], directory=tmp_path, now=house.NOW)
    text = (tmp_path / "daily" / f"{day}.json").read_text("utf-8")
    lines = (tmp_path / "daily" / f"{day}.csv").read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(lines, newline="")))
    return json.loads(text, parse_float=str, parse_int=str), rows


def test_json_holds_the_contract(filled, tmp_path):
    artifacts.write_days([house.DAY], directory=tmp_path, now=house.NOW)
    daily = json.loads((tmp_path / "daily" / f"{house.DAY}.json").read_bytes())
    jsonschema.validate(daily, DAILY)
    assert daily["timezone"] == "Europe/Amsterdam"
    assert daily["coverage"]["excluded"] == [{"repo": "toman/exchange/old", "reason": "no_access"}]


def test_one_summary_for_each_scope_that_exists(filled, tmp_path):
    daily, _ = published(tmp_path)
    assert [(s["scope"], s["business_line"], s["team"], s["repo"]) for s in daily["summaries"]] == [
        ("org", None, None, None),
        ("business_line", "Exchange", None, None),
        ("team", "Exchange", "Trading", None),
        ("repo", "Exchange", "Trading", house.REPO),
    ]


def test_csv_tells_the_same_numbers_as_json(filled, tmp_path):
    daily, rows = published(tmp_path)
    from_json = {
        (s["scope"], key): (number or "", s["n"][key], s["unavailable"].get(key, ""))
        for s in daily["summaries"]
        for key, number in s["metrics"].items()
    }
    from_csv = {
        (row["scope"], row["metric"]): (row["value"], row["n"], row["reason"])
        for row in rows
        if row["date"] == str(house.DAY)
    }
    assert from_csv == from_json
    assert len(from_csv) == 4 * len(KEYS)


def org_row(rows: list[dict], key: str) -> dict:
    return next(r for r in rows if (r["date"], r["scope"], r["metric"]) == (str(house.DAY), "org", key))


@pytest.mark.parametrize(
    ("stored", "written"),
    [("14.0000", "14"), ("21.3000", "21.3"), ("0.9200", "0.92"), ("0.0000", "0"), ("100.0000", "100"),
     ("0.1235", "0.1235"), ("123456789.5000", "123456789.5")],
)  # fmt: skip
def test_numbers_are_decimals_without_trailing_zeros(built, tmp_path, stored, written):
    house.value(KEYS[0], stored)
    daily, rows = published(tmp_path)
    assert daily["summaries"][0]["metrics"][KEYS[0]] == written
    assert org_row(rows, KEYS[0])["value"] == written


def test_what_cannot_be_measured_is_null_with_its_reason_never_zero(built, tmp_path):
    house.value(KEYS[0], None, n=0, reason="before_history")
    house.value(KEYS[1], "0.0000", n=0)
    daily, rows = published(tmp_path)
    org = daily["summaries"][0]
    assert (org["metrics"][KEYS[0]], org["unavailable"][KEYS[0]]) == (None, "before_history")
    assert (org["metrics"][KEYS[1]], org["unavailable"].get(KEYS[1])) == ("0", None)
    assert (org["metrics"][KEYS[2]], org["unavailable"][KEYS[2]]) == (None, "no_sample")
    row = org_row(rows, KEYS[0])
    assert (row["value"], row["reason"]) == ("", "before_history")


def test_csv_holds_the_ninety_days_that_end_with_its_date(filled, tmp_path):
    _, rows = published(tmp_path)
    days = sorted({row["date"] for row in rows})
    assert (days[0], days[-1], len(days)) == (str(house.DAY - dt.timedelta(days=89)), str(house.DAY), 90)


def test_csv_holds_only_days_of_the_history(filled, tmp_path):
    _, rows = published(tmp_path, house.FIRST + dt.timedelta(days=3))
    assert len({row["date"] for row in rows}) == 4


def test_csv_is_rfc_4180(filled, tmp_path):
    artifacts.write_days([house.DAY], directory=tmp_path, now=house.NOW)
    raw = (tmp_path / "daily" / f"{house.DAY}.csv").read_bytes()
    assert raw.startswith(summaries.HEADER)
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n") == 1 + 90 * 4 * len(KEYS)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula_to_a_spreadsheet(start):
    assert next(csv.reader(io.StringIO(summaries.csv_cells(f"{start}1+1"), newline=""))) == [f"'{start}1+1"]


def test_cells_with_commas_and_quotes_survive():
    cells = ['A, "quoted" name', "two\nlines", None, "plain"]
    assert next(csv.reader(io.StringIO(summaries.csv_cells(*cells), newline=""))) == [
        'A, "quoted" name', "two\nlines", "", "plain",
    ]  # fmt: skip


def test_negative_numbers_stay_numbers(built, tmp_path):
    house.value(KEYS[0], Decimal("-1.5000"))
    _, rows = published(tmp_path)
    assert org_row(rows, KEYS[0])["value"] == "-1.5"


def test_same_values_give_the_same_bytes(filled, tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        artifacts.copy_day(house.DAY, directory=tmp_path / place, now=house.NOW)
    for form in artifacts.FORMATS:
        name = f"{house.DAY}.{form}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

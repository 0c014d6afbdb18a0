"""The pages and the files over HTTP, as a signed-in reader meets them."""

import datetime as dt
import json
import re

import pytest

from apps.exports import artifacts
from apps.exports.models import Artifact
from apps.exports.tests import house
from apps.exports.tests.contract import COMPETENCIES
from apps.metrics.models import MetricDaily
from apps.metrics.registry import METRICS
from apps.runs.models import Run

pytestmark = pytest.mark.django_db
MEASURED = next(metric for metric in METRICS if metric.min_sample > 1 and metric.rows)


def text_of(response) -> str:
    """What a reader sees: the words of the page without its tags."""
    words = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", words.replace("\u00a0", " "))


def tile_of(response, key: str) -> str:
    return next(part for part in response.content.decode().split("<article") if f'id="{key}"' in part)


@pytest.mark.parametrize("address", ["/", "/evidence/?metric=x&day=2025-09-04"])
def test_pages_ask_for_a_sign_in(client, db, address):
    response = client.get(address)
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_a_file_asks_scripts_for_a_sign_in(client, db):
    response = client.get("/exports/daily/2025-09-04.json")
    assert (response.status_code, response["Content-Type"]) == (401, "application/problem+json")


def test_every_metric_has_a_tile_below_its_competency(signed_in, filled):
    response = signed_in.get("/")
    assert response.content.decode().count("<article") == len(METRICS)
    headings = re.findall(r'<h2 id="competency-\d+">([^<]+)</h2>', response.content.decode())
    assert set(headings) <= {name.replace("&", "&amp;") for name in COMPETENCIES}
    for metric in METRICS:
        assert f'id="{metric.key}">{metric.title.replace("&", "&amp;")}' in tile_of(response, metric.key)


@pytest.mark.parametrize("scope", ["org", "business_line:Exchange", "team:Trading", f"repo:{house.REPO}"])
def test_each_scope_and_day_is_an_address(signed_in, filled, scope):
    response = signed_in.get("/", {"scope": scope, "day": "2025-09-01"})
    assert response.status_code == 200
    assert "Monday 1 September 2025" in text_of(response)


def test_the_last_day_that_has_values_is_shown_first(signed_in, filled):
    assert "Thursday 4 September 2025" in text_of(signed_in.get("/"))


def test_a_tile_says_how_the_value_moved_in_words(signed_in, built):
    days = {"D1": 1, "D7": 7, "D30": 30, "D90": 90, "EOD": 7}[str(MEASURED.window)]
    house.value(MEASURED.key, "0.5000", between=("0.4000", "0.6000"))
    house.value(MEASURED.key, "0.2500", day=house.DAY - dt.timedelta(days=days), between=("0.2000", "0.3000"))
    verdict = {"up": "better", "down": "worse"}[MEASURED.better.value]
    assert f", {verdict} " in tile_of(signed_in.get("/"), MEASURED.key)


def test_a_small_sample_is_called_thin(signed_in, built):
    house.value(MEASURED.key, "0.5000", n=MEASURED.min_sample - 1)
    assert "thin sample" in tile_of(signed_in.get("/"), MEASURED.key)
    house.value(MEASURED.key, "0.5000", n=MEASURED.min_sample)
    assert "thin sample" not in tile_of(signed_in.get("/"), MEASURED.key)


@pytest.mark.parametrize("reason", ["before_history", "not_on_this_tier", "feature_disabled", "no_access"])
def test_what_cannot_be_measured_says_why_instead_of_a_number(signed_in, built, reason):
    house.value(MEASURED.key, None, n=0, reason=reason)
    tile = tile_of(signed_in.get("/"), MEASURED.key)
    assert "Not measurable" in tile
    assert "<data" not in tile


def test_a_metric_that_is_not_collected_yet_says_so_and_comes_last(signed_in, built):
    absent = next((metric for metric in METRICS if not metric.rows), None)
    if absent is None:
        pytest.skip("every metric is collected")
    house.value(MEASURED.key, "0.5000")
    assert "Not collected yet" in tile_of(signed_in.get("/"), absent.key)


def test_nothing_that_happened_is_not_called_unmeasurable(signed_in, built):
    house.value(MEASURED.key, None, n=0, reason="no_sample")
    assert "Nothing to measure" in tile_of(signed_in.get("/"), MEASURED.key)


def test_the_header_tells_freshness_coverage_and_rules(signed_in, filled):
    page = text_of(signed_in.get("/"))
    assert "Nightly complete, Fri 5 Sep 2025, 09:00" in page
    assert "50.0 % of active projects (1 of 2)" in page
    assert "toman/exchange/old no_access" in page
    assert "Rules version" in page


def test_demo_numbers_are_called_so(signed_in, filled, settings):
    assert "Demo data" not in text_of(signed_in.get("/"))
    settings.TEM_DEMO = True
    assert "Demo data" in text_of(signed_in.get("/"))


def test_an_empty_house_says_what_to_do_next(signed_in, db):
    assert "No organisation yet" in text_of(signed_in.get("/"))


def test_a_house_without_a_run_says_what_to_do_next(signed_in, built):
    Run.objects.all().delete()
    assert "Nothing has been collected yet" in text_of(signed_in.get("/"))


def test_a_first_run_at_work_is_shown(signed_in, built):
    Run.objects.all().delete()
    active = house.run(state=Run.State.ACTIVE, phase="collect")
    active.steps.create(phase="discover", state="done")
    active.steps.create(phase="collect", project_id=7)
    assert "1 of 2 steps so far" in text_of(signed_in.get("/"))


def test_a_failed_first_run_says_why(signed_in, built):
    Run.objects.update(state=Run.State.FAILED, reason="GitLab refused the token.")
    assert "GitLab refused the token." in text_of(signed_in.get("/"))


def test_a_day_without_values_offers_the_ones_that_exist(signed_in, filled):
    page = text_of(signed_in.get("/", {"day": "2024-01-01"}))
    assert "No values for 1 January 2024" in page
    assert "to 4 September 2025" in page


def test_an_unknown_scope_is_not_found_and_says_so(signed_in, filled):
    response = signed_in.get("/", {"scope": "team:Gone"})
    assert response.status_code == 404
    assert "“team:Gone” is not in the organisation" in text_of(response)


def test_names_are_shown_as_text(signed_in, filled):
    response = signed_in.get("/", {"scope": "<script>alert(1)</script>"})
    assert b"<script>" not in response.content


def test_the_dashboard_needs_few_queries(signed_in, filled, django_assert_max_num_queries):
    with django_assert_max_num_queries(20):
        signed_in.get("/")


def test_a_tile_opens_to_its_sample(signed_in, filled):
    tile = tile_of(signed_in.get("/", {"scope": f"repo:{house.REPO}"}), MEASURED.key)
    address = re.search(r'href="(/evidence/[^"]+)"', tile).group(1).replace("&amp;", "&")
    response = signed_in.get(address)
    assert response.status_code == 200
    assert MEASURED.title in text_of(response)


@pytest.mark.parametrize("query", ["", "?metric=nothing&day=2025-09-04", f"?metric={MEASURED.key}"])
def test_evidence_of_nothing_is_not_found(signed_in, filled, query):
    assert signed_in.get(f"/evidence/{query}").status_code == 404


@pytest.mark.parametrize("form", artifacts.FORMATS)
def test_a_published_file_is_served_as_it_lies_there(signed_in, filled, tmp_path, settings, form):
    settings.TEM_EXPORT_DIR = tmp_path
    artifacts.write_days([house.DAY], directory=tmp_path, now=house.NOW)
    address = f"/exports/daily/{house.DAY}.{form}"
    response = signed_in.get(address)
    row = Artifact.objects.get(format=form)
    assert response["ETag"] == f'"{row.sha256}"'
    assert b"".join(response) == (tmp_path / "daily" / f"{house.DAY}.{form}").read_bytes()
    assert signed_in.get(address, headers={"If-None-Match": response["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["2025-09-03.json", "2025-13-01.csv", "yesterday.json"])
def test_a_file_that_is_not_there_says_what_to_do(signed_in, filled, tmp_path, settings, name):
    settings.TEM_EXPORT_DIR = tmp_path
    response = signed_in.get(f"/exports/daily/{name}")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert set(json.loads(response.content)) == {"type", "title", "status", "detail"}


def test_nothing_remote_and_nothing_inline_is_on_a_page(signed_in, filled):
    page = signed_in.get("/").content.decode()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert not re.findall(r"<script|<style| style=| on\w+=", page)


def test_days_of_an_empty_table_do_not_break_the_page(signed_in, filled):
    MetricDaily.objects.all().delete()
    assert signed_in.get("/").status_code == 200

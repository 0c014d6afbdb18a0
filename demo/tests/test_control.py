"""The demo's own doors: clock, limits, faults, statistics."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable

import pytest

from demo.tests.conftest import ENGINE, Gitlab


@pytest.fixture(scope="module")
def other(start: Callable[..., Gitlab]) -> Gitlab:
    """One that may be changed."""
    return start()


def test_the_clock_moves_only_when_told(other: Gitlab) -> None:
    before = other.get(f"{ENGINE}/pipelines?per_page=1").json[0]["id"]
    assert other.get("version").header("date") == "Mon, 15 Jun 2026 10:00:00 GMT"
    assert other.control("clock", {"advance_seconds": 86400})["now"] == "2026-06-16T10:00:00.000Z"
    assert other.get("version").header("date") == "Tue, 16 Jun 2026 10:00:00 GMT"
    assert other.get(f"{ENGINE}/pipelines?per_page=1").json[0]["id"] > before
    assert other.get("/-/demo/clock").json == {"now": "2026-06-16T10:00:00.000Z"}


@pytest.mark.parametrize("seconds", [-1, "soon", None, 1e300])
def test_the_clock_never_goes_back_or_astray(other: Gitlab, seconds: object) -> None:
    before = other.get("/-/demo/clock").json
    answer = other.ask("/-/demo/clock", method="POST", body={"advance_seconds": seconds})
    assert answer.status == 400 and answer.json["error"]
    assert other.get("/-/demo/clock").json == before
    assert other.ask("/-/demo/nothing", method="POST", body={}).status == 404


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("status_429", {(429, "text/plain"), (429, "application/json")}),
        ("html_502", {(502, "text/html")}),
        ("html_200", {(200, "text/html")}),
    ],
)
def test_faulty_answers(other: Gitlab, fault: str, kinds: set[tuple[int, str]]) -> None:
    other.control("faults", {fault: 1.0, "seed": 3})
    answers = [other.get("version") for _ in range(25)]
    other.control("faults", {})
    assert {(one.status, one.header("content-type")) for one in answers} == kinds
    if fault == "status_429":
        told = {bool(one.header("retry-after")) + 2 * bool(one.header("ratelimit-reset")) for one in answers}
        assert told == {0, 1, 2}
        assert {one.header("retry-after") for one in answers} == {None, "1", "in a while"}


def test_cut_answers(other: Gitlab) -> None:
    other.control("faults", {"truncate": 1.0})
    with pytest.raises(json.JSONDecodeError):
        _ = other.get(f"{ENGINE}/issues").json
    other.control("faults", {"reset": 1.0})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        other.get(f"{ENGINE}/issues")
    other.control("faults", {"drip": 1.0})
    assert len(other.get(f"{ENGINE}/issues").json) == 20
    other.control("faults", {})


def test_bad_values(other: Gitlab) -> None:
    other.control("faults", {"nul_title": 1.0, "unknown_enum": 1.0, "missing_key": 1.0})
    row = other.get(f"{ENGINE}/issues?per_page=1").json[0]
    other.control("faults", {})
    assert (row["title"].startswith("\0") and row["state"] == "active") or "waiting_for_godot" in json.dumps(
        row
    )
    assert len(row) == len(other.get(f"{ENGINE}/issues?per_page=1").json[0]) - 1


def test_forbidden_and_revoked(other: Gitlab) -> None:
    number = other.get(ENGINE).json["id"]
    other.control("faults", {"forbid_project": number})
    assert other.get(ENGINE).status == 403
    assert other.get(f"projects/{number}/issues").status == 403
    other.control("faults", {"revoke_token_after": 2})
    assert [other.get("version").status for _ in range(3)] == [200, 200, 401]
    other.control("faults", {})
    assert "Expected" in other.control("faults", {"drip": "often"})["error"]
    assert "unknown faults: colour" in other.control("faults", {"colour": 1})["error"]


def test_statistics(other: Gitlab) -> None:
    other.control("reset-stats", {})
    other.get(f"{ENGINE}/issues")
    counts = other.get("/-/demo/stats").json
    assert counts["projects/:project/issues"] == 1 and counts["requests"] == 1


def test_queries_are_counted_by_name(other: Gitlab) -> None:
    other.control("reset-stats", {})
    for query in ("query Named { metadata { version } }", "{ metadata { version } }", "query Named { x }"):
        other.graphql(query)
    counts = other.get("/-/demo/stats").json
    assert (counts["refused_graphql Named"], counts["refused_graphql without a name"]) == (1, 0)
    assert (counts["graphql"], counts["graphql Named"], counts["graphql without a name"]) == (3, 2, 1)


def test_latency_and_limit_may_come_later(other: Gitlab) -> None:
    other.control("limits", {"latency_ms": 30, "per_minute": 7})
    begun = time.perf_counter()
    assert other.get("version").header("ratelimit-limit") == "7"
    assert time.perf_counter() - begun >= 0.03
    assert "must be whole numbers" in other.control("limits", {"latency_ms": -1, "per_minute": 0})["error"]
    other.control("limits", {"latency_ms": 0, "per_minute": 0})
    assert other.get("version").header("ratelimit-limit") is None


def test_a_forbidden_project_is_null_in_graphql(other: Gitlab) -> None:
    query = '{ project(fullPath: "toman/exchange/trading/engine") { id } }'
    other.control("faults", {"forbid_project": other.get(ENGINE).json["id"]})
    assert other.graphql(query) == {"data": {"project": None}}
    other.control("faults", {})
    assert other.graphql(query)["data"]["project"]["id"]


def test_the_limit_is_told_and_kept(start: Callable[..., Gitlab]) -> None:
    limited = start("--rate-limit", "3")
    answers = [limited.get("version") for _ in range(8)]  # a minute may begin among them
    assert answers[0].header("ratelimit-limit") == "3"
    refused = [one for one in answers if one.status == 429]
    assert refused and all(one.header("retry-after") and one.body == b"Retry later\n" for one in refused)

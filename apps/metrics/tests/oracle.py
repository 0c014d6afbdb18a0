"""METRICS.md once more, in plain, slow Python over plain records. Written from the page, not from the SQL.

Records are dictionaries with aware datetimes. A history is {"projects": [{"path", "line", "team", "mrs",
"pipelines", "tags", "deployments", "tiers"}], "rules": {...}}.
"""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
HOUR = dt.timedelta(hours=1)
SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
Value = tuple[Fraction | None, int]


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=AMSTERDAM)


def inside(instant: dt.datetime | None, day: dt.date, days: int) -> bool:
    if instant is None:
        return False
    return day - dt.timedelta(days=days - 1) <= instant.astimezone(AMSTERDAM).date() <= day


def utc(instant: dt.datetime) -> dt.datetime:
    """Differences of instants in one zone are differences of its clock: take them in UTC."""
    return instant.astimezone(dt.UTC)


def hours(length: dt.timedelta) -> Fraction:
    return Fraction(length // dt.timedelta(milliseconds=1), 3_600_000)


def percentile(sample: list[Fraction], tenths: int) -> Value:
    if not sample:
        return None, 0
    at = Fraction(tenths, 10) * (len(sample) - 1)
    low = int(at)
    ordered = sorted(sample)
    value = ordered[low]
    if at != low:
        value += (ordered[low + 1] - ordered[low]) * (at - low)
    return value, len(sample)


def ratio(sample: list[bool]) -> Value:
    return (Fraction(sum(sample), len(sample)), len(sample)) if sample else (None, 0)


def mean(sample: list[Fraction]) -> Value:
    return (sum(sample, Fraction(0)) / len(sample), len(sample)) if sample else (None, 0)


# --- merge requests -----------------------------------------------------------------------------


def cycle_times(project: dict[str, Any], day: dt.date) -> list[Fraction]:
    lengths = [
        utc(mr["merged"]) - utc(min(mr["commits"]))
        for mr in project["mrs"]
        if inside(mr["merged"], day, 30) and mr["commits"]
    ]
    return [hours(length) for length in lengths if length > dt.timedelta(0)]


def is_open_at(mr: dict[str, Any], end: dt.datetime) -> bool:
    state = False
    for at, opens in sorted(mr["timeline"]):
        if at <= end:
            state = opens
    return state


def ages(project: dict[str, Any], day: dt.date) -> list[Fraction]:
    end = midnight(day + dt.timedelta(days=1))
    return [hours(utc(end) - utc(mr["created"])) for mr in project["mrs"] if is_open_at(mr, end)]


def approvals_given(mr: dict[str, Any]) -> int:
    """Distinct approvers other than the author, as of the merge."""
    standing: dict[int, bool] = {}
    for actor, at, approved in sorted(mr["approvals"], key=lambda a: a[1]):
        if actor != mr["author"] and at <= mr["merged"]:
            standing[actor] = approved
    return sum(standing.values())


def bypasses(project: dict[str, Any], day: dt.date, minimum: int) -> list[bool]:
    found = []
    for mr in project["mrs"]:
        required = max(mr["required"] or 0, minimum)
        if inside(mr["merged"], day, 30) and required > 0:
            found.append(approvals_given(mr) < required)
    return found


# --- pipelines ----------------------------------------------------------------------------------


def outcomes(project: dict[str, Any], day: dt.date) -> list[bool]:
    return [
        p["status"] == "success"
        for p in project["pipelines"]
        if p["status"] in ("success", "failed")
        and p["source"] != "parent_pipeline"
        and inside(p["created"], day, 30)
    ]


def times_to_green(project: dict[str, Any], day: dt.date) -> list[Fraction]:
    own = sorted((p for p in project["pipelines"] if p["source"] != "parent_pipeline"), key=lambda p: p["id"])
    found = []
    for nth, failed in enumerate(own):
        if failed["status"] != "failed":
            continue
        later = [p for p in own[nth + 1 :] if p["ref"] == failed["ref"] and p["status"] == "success"]
        if later and inside(later[0]["finished"], day, 30):
            found.append(later[0]["finished"] - failed["finished"])
    return [hours(length) for length in found if length > dt.timedelta(0)]


# --- production deployments ---------------------------------------------------------------------


def released(tag: dict[str, Any]) -> dt.datetime:
    return tag["released"] or tag["committed"]


def production_records(project: dict[str, Any]) -> list[dict[str, Any]]:
    def is_production(record: dict[str, Any]) -> bool:
        name = record["environment"]
        return project["tiers"].get(name) == "production" or bool(
            re.search(r"^(prod|production)(/.*)?$", name)
        )

    return [d for d in project["deployments"] if d["status"] == "success" and is_production(d)]


def of_merge_request(pipeline: dict[str, Any]) -> bool:
    return pipeline["source"] == "merge_request_event" or pipeline["ref"].startswith("refs/merge-requests/")


def signals_of(project: dict[str, Any], pipeline: dict[str, Any]) -> set[str]:
    green = [p for p in project["pipelines"] if p["status"] == "success"]
    held = set()
    if any(d["pipeline"] == pipeline["id"] for d in production_records(project)):
        held.add("environment")
    if pipeline["source"] == "parent_pipeline":
        return held
    plain = [p for p in green if not of_merge_request(p) and p["source"] != "parent_pipeline"]
    first = min((p["id"] for p in plain if p["sha"] == pipeline["sha"]), default=None)
    for tag in project["tags"]:
        has_own = any(p["ref"] == tag["name"] and p["source"] != "parent_pipeline" for p in green)
        if pipeline["ref"] == tag["name"] or (
            not has_own and tag["sha"] == pipeline["sha"] and first == pipeline["id"]
        ):
            held.add("release_tag")
    on_main = [p["id"] for p in plain if p["ref"] == "main" and p["sha"] == pipeline["sha"]]
    if pipeline["id"] == min(on_main, default=None):
        held.add("default_branch")
    return held


def is_deployment(project: dict[str, Any], pipeline: dict[str, Any], rules: dict[str, Any]) -> bool:
    enabled = set(rules["signals"])
    held = signals_of(project, pipeline) & enabled
    if rules["infer"] == "any":
        return bool(held)
    if rules["infer"] == "all":
        return bool(enabled) and held == enabled
    knew_environments = "environment" in held or any(
        d["finished"] <= pipeline["created"] for d in production_records(project)
    )
    knew_tags = any(released(tag) <= pipeline["created"] for tag in project["tags"])
    if "environment" in enabled and knew_environments:
        return "environment" in held
    if "release_tag" in enabled and knew_tags:
        return "release_tag" in held
    return "default_branch" in held


def deployment_instants(project: dict[str, Any], rules: dict[str, Any]) -> list[dt.datetime]:
    records = production_records(project)
    found = [d["finished"] for d in records if d["pipeline"] is None and "environment" in rules["signals"]]
    for pipeline in project["pipelines"]:
        if pipeline["status"] != "success" or not is_deployment(project, pipeline, rules):
            continue
        own = [d for d in records if d["pipeline"] == pipeline["id"]]
        if not own or "environment" not in rules["signals"]:
            found.append(pipeline["finished"])
            continue
        lines: dict[str, list[dt.datetime]] = {}
        for record in own:
            lines.setdefault(record["environment"], []).append(record["finished"])
        for nth in range(max(len(line) for line in lines.values())):
            found.append(min(sorted(line)[nth] for line in lines.values() if len(line) > nth))
    return found


# --- the metrics --------------------------------------------------------------------------------


def values(projects: list[dict[str, Any]], day: dt.date, rules: dict[str, Any]) -> dict[str, Value]:
    """Metric -> (value, n) of a scope made of these projects, with its whole window inside history."""

    def gathered(function: Any, *more: Any) -> list[Any]:
        return [one for project in projects for one in function(project, day, *more)]

    cycle, aged = gathered(cycle_times), gathered(ages)
    merged = sum(inside(mr["merged"], day, 7) for project in projects for mr in project["mrs"])
    deployed = sum(inside(at, day, 7) for project in projects for at in deployment_instants(project, rules))
    tags = [
        bool(SEMVER.fullmatch(tag["name"].removeprefix("v")))
        for project in projects
        for tag in project["tags"]
        if inside(released(tag), day, 30)
    ]
    return {
        "mr_cycle_time_p50_h": percentile(cycle, 5),
        "mr_cycle_time_p90_h": percentile(cycle, 9),
        "mr_throughput_wk": (Fraction(merged), merged),
        "wip_mr_count": (Fraction(len(aged)), len(aged)),
        "wip_age_p50_h": percentile(aged, 5),
        "wip_age_p90_h": percentile(aged, 9),
        "pipeline_success_rate": ratio(gathered(outcomes)),
        "mean_time_to_green_h": mean(gathered(times_to_green)),
        "deployment_frequency_wk": (Fraction(deployed), deployed),
        "approval_bypass_ratio": ratio(gathered(bypasses, rules["minimum"])),
        "semver_valid_ratio": ratio(tags),
    }

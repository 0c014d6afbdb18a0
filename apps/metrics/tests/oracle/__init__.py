"""METRICS.md once more, in plain, slow Python over plain records. Written from the page, not from the SQL."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

from apps.metrics.tests.oracle import commits, issues, merge_requests, pipelines, production
from apps.metrics.tests.oracle.days import HOUR, LENGTHS, begin, end, mean, percentile
from apps.metrics.tests.oracle.people import rules_of
from apps.metrics.tests.oracle.records import History, Project

Told = tuple[Fraction | None, int, str]
"""A value, its sample size, and the reason where it is none."""

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
# Sample -> the metrics made of it: key, default window, aggregate, scale.
POINTS: dict[str, tuple[tuple[str, str, str, int], ...]] = {
    "lead_time": (("lead_time_p50_h", "D30", "p50", HOUR), ("lead_time_p90_h", "D30", "p90", HOUR)),
    "cycle": (("mr_cycle_time_p50_h", "D30", "p50", HOUR), ("mr_cycle_time_p90_h", "D30", "p90", HOUR)),
    "first_review": (
        ("time_to_first_review_p50_h", "D30", "p50", HOUR),
        ("time_to_first_review_p90_h", "D30", "p90", HOUR),
    ),
    "in_review": (
        ("time_in_review_p50_h", "D30", "p50", HOUR),
        ("time_in_review_p90_h", "D30", "p90", HOUR),
    ),
    "rework": (("rework_rate", "D30", "mean", 1),),
    "merged": (("mr_throughput_wk", "D7", "weekly", 1),),
    "released": (("release_cadence_wk", "D7", "weekly", 1),),
    "semver": (("semver_valid_ratio", "D30", "mean", 1),),
    "outcome": (("pipeline_success_rate", "D30", "mean", 1),),
    "to_green": (("mean_time_to_green_h", "D30", "mean", HOUR),),
    "duration": (("pipeline_duration_avg_s", "D30", "mean", 1000),),
    "critical_path": (("pipeline_critical_path_avg_s", "D30", "mean", 1000),),
    "flaky": (("flaky_job_rate", "D30", "mean", 1),),
    "deployed": (("deployment_frequency_wk", "D7", "weekly", 1),),
    "rolled_back": (("rollback_incidence", "D30", "mean", 1),),
    "rollback_time": (("rollback_time_p50_h", "D30", "p50", HOUR),),
    "direct": (("direct_pushes_default", "D1", "count", 1),),
    "forced": (("force_pushes_protected", "D1", "count", 1),),
    "bypass": (("approval_bypass_ratio", "D30", "mean", 1),),
    "signed": (("signed_commit_ratio", "D30", "mean", 1),),
    "branch_ttl": (("branch_ttl_p50_h", "D30", "p50", HOUR), ("branch_ttl_p90_h", "D30", "p90", HOUR)),
    "escape": (("defect_escape_rate", "D30", "mean", 1),),
    "from_first_commit": (
        ("lead_time_first_commit_p50_h", "D30", "p50", HOUR),
        ("lead_time_first_commit_p90_h", "D30", "p90", HOUR),
    ),
    "from_merge": (
        ("lead_time_merge_p50_h", "D30", "p50", HOUR),
        ("lead_time_merge_p90_h", "D30", "p90", HOUR),
    ),
    "with_issue": (("deployed_with_issue_ratio", "D30", "mean", 1),),
    "failed": (("change_failure_rate", "D30", "mean", 1),),
    "recovered": (("failed_deployment_recovery_p50_h", "D30", "p50", HOUR),),
}
OF_ISSUES = {
    "defect_escape_rate",
    "issue_sla_breach_rate",
    "reopened_issue_rate",
    "change_failure_rate",
    "failed_deployment_recovery_p50_h",
}
STATES = {
    "wip_mr_count": "EOD",
    "wip_age_p50_h": "EOD",
    "wip_age_p90_h": "EOD",
    "branch_ttl_over_30d_count": "D30",
    "issue_sla_breach_rate": "D30",
    "reopened_issue_rate": "D30",
}
DEFAULT_WINDOW = {one[0]: one[1] for metrics in POINTS.values() for one in metrics} | STATES


class Reading:
    """One history, read once; values of any scope, day and window from it."""

    def __init__(self, history: History) -> None:
        self.history = history = found(history)
        leads = production.lead_times(history)
        self.rules = {one.project_id: rules_of(history, one) for one in history.projects}
        self.points = {one.project_id: self._points(one, leads) for one in history.projects}

    def _points(self, project: Project, leads: dict[int, Any]) -> dict[str, list[tuple[int, int]]]:
        history, rules = self.history, self.rules[project.project_id]
        deployed = production.rollbacks(project, rules)
        went_out = production.went_out(project, rules)
        failures = production.failures(project, rules)
        return {
            "lead_time": leads.get(project.project_id, []),
            "cycle": merge_requests.cycle_times(project),
            "first_review": merge_requests.first_reviews(history, project),
            "in_review": merge_requests.times_in_review(history, project, rules),
            "rework": merge_requests.rework(history, project, rules),
            "merged": merge_requests.throughput(project),
            "released": [(tag.at, 1) for tag in project.tags],
            "semver": [(tag.at, int(is_semver(tag.name))) for tag in project.tags],
            "outcome": pipelines.outcomes(project),
            "to_green": pipelines.times_to_green(project),
            "duration": pipelines.durations(project),
            "critical_path": pipelines.critical_paths(project),
            "flaky": pipelines.flakiness(project),
            "deployed": [(one.at, 1) for one, _, _ in deployed],
            "rolled_back": [(one.at, int(is_one)) for one, is_one, _ in deployed],
            "from_first_commit": [
                (at, at - min(authored for _, authored in mr.commits))
                for mr, at in went_out
                if mr.commits and at > min(authored for _, authored in mr.commits)
            ],
            "from_merge": [(at, at - mr.merged) for mr, at in went_out if mr.merged and at > mr.merged],
            "with_issue": [(at, int(bool(mr.closes))) for mr, at in went_out],
            "failed": [(one.at, int(has_failed)) for one, has_failed, _ in failures],
            "recovered": [(again, again - one.at) for one, _, again in failures if again and again > one.at],
            "rollback_time": production.rollback_times(project, rules),
            "direct": commits.direct_pushes(history, project),
            "forced": commits.force_pushes(project),
            "bypass": merge_requests.bypasses(project, rules),
            "signed": commits.signed(project),
            "branch_ttl": merge_requests.branch_lives(project),
            "escape": issues.escapes(project, rules),
        }

    def scopes(self) -> dict[str, list[Project]]:
        """Every scope but the org, which may hold more than this history."""
        found: dict[str, list[Project]] = {}
        for one in self.history.projects:
            for key in (f"business_line:{one.line}", f"team:{one.team}", f"repo:{one.path}"):
                found.setdefault(key, []).append(one)
        return found

    def values(
        self, members: list[Project], day: dt.date, *, window: str = "", history_from: dt.date
    ) -> dict[str, Told]:
        """Metric -> its value in a scope of these projects, in its default window or the one asked for."""
        found = {}
        since = {key: begin(day, window or default) for key, default in DEFAULT_WINDOW.items()}
        for sample, metrics in POINTS.items():
            for key, default, aggregate, scale in metrics:
                measured = [one for one in members if not self._refused(key, one)]
                inside = self._inside(sample, measured, since[key], end(day))
                found[key] = told(inside, aggregate, scale, LENGTHS[window or default])
        for key in STATES:
            measured = [one for one in members if not self._refused(key, one)]
            found[key] = self._state(key, measured, since[key], end(day))
        for key in found:
            reasons = [self._refused(key, one) for one in members]
            length = dt.timedelta(days=LENGTHS[window or DEFAULT_WINDOW[key]] - 1)
            if found[key][0] is None and any(reasons):
                found[key] = (None, 0, min(filter(None, reasons)))
            if day - length < history_from:
                found[key] = (None, 0, "before_history")
            if all(reasons):
                found[key] = (None, 0, min(reasons))
        return found

    def _refused(self, key: str, project: Project) -> str:
        """Why a metric cannot be measured in a project; else nothing."""
        if key == "approval_bypass_ratio" and self._is_tierless(project):
            return "not_on_this_tier"
        return project.refused.get("issues", "") if key in OF_ISSUES else ""

    def _inside(self, sample: str, members: list[Project], since: int, until: int) -> list[int]:
        return [
            value
            for project in members
            for at, value in self.points[project.project_id][sample]
            if since <= at < until
        ]

    def _state(self, key: str, members: list[Project], since: int, until: int) -> Told:
        if key == "branch_ttl_over_30d_count":
            old = sum(merge_requests.old_branches(one, since, until) for one in members)
            return Fraction(old), old, ""
        if key == "issue_sla_breach_rate":
            late = [
                v for one in members for v in issues.breaches(one, self.rules[one.project_id], since, until)
            ]
            return told(late, "mean", 1, 1)
        if key == "reopened_issue_rate":
            return told([v for one in members for v in issues.reopened(one, since, until)], "mean", 1, 1)
        ages = [age for one in members for age in merge_requests.ages(one, until)]
        return told(ages, {"wip_mr_count": "count", "wip_age_p50_h": "p50"}.get(key, "p90"), HOUR, 1)

    def _is_tierless(self, project: Project) -> bool:
        merged = [mr for mr in project.mrs if mr.merged is not None]
        minimum = self.rules[project.project_id]["approvals"]["minimum"]
        return bool(merged) and minimum == 0 and all(mr.required is None for mr in merged)


def found(history: History) -> History:
    """The history without what GitLab has no longer."""
    projects = [
        replace(
            one,
            mrs=[mr for mr in one.mrs if not mr.is_lost],
            pipelines=[pipeline for pipeline in one.pipelines if not pipeline.is_lost],
            issues=[issue for issue in one.issues if not issue.is_lost],
        )
        for one in history.projects
    ]
    return replace(history, projects=projects)


def is_semver(name: str) -> bool:
    return SEMVER.fullmatch(name.removeprefix("v")) is not None


def told(sample: list[int], aggregate: str, scale: int, days: int) -> Told:
    if aggregate in ("count", "weekly"):
        count = Fraction(len(sample))
        return (count * 7 / days if aggregate == "weekly" else count), len(sample), ""
    if aggregate == "mean":
        value, n = mean(sample, scale)
    else:
        value, n = percentile(sample, int(aggregate[1]), scale)
    return value, n, "" if n else "no_sample"

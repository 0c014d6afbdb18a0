"""What METRICS.md says of issues."""

from __future__ import annotations

import re
from typing import Any

from apps.metrics.tests.oracle.days import HOUR
from apps.metrics.tests.oracle.records import Issue, Project

Points = list[tuple[int, int]]


def counted(project: Project) -> list[Issue]:
    return [one for one in project.issues if one.kind in ("issue", "incident") and not one.moved]


def target(issue: Issue, rules: dict[str, Any]) -> int | None:
    hours = [rule["hours"] for rule in rules["sla"] if rule["label"] in issue.labels]
    return hours[0] * HOUR if hours else None


def breaches(project: Project, rules: dict[str, Any], since: int, instant: int) -> list[int]:
    """Of those open at the end, or last closed in the window: whether it took longer than its target."""
    found = []
    for issue in counted(project):
        limit = target(issue, rules)
        if limit is None or issue.created > instant:
            continue
        turns = [(at, turn) for at, turn in sorted(issue.turns) if at <= instant]
        if not turns or turns[-1][1] == "reopened":
            found.append(int(instant - issue.created > limit))
        elif since <= turns[-1][0] < instant:
            found.append(int(turns[-1][0] - issue.created > limit))
    return found


def reopened(project: Project, since: int, until: int) -> list[int]:
    found = []
    for issue in counted(project):
        turns = [turn for at, turn in issue.turns if since <= at < until]
        if turns:
            found.append(int("reopened" in turns))
    return found


def escapes(project: Project, rules: dict[str, Any]) -> Points:
    bugs, length = rules["bugs"], rules["bugs"]["escape_days"] * 24 * HOUR
    found = []
    for issue in counted(project):
        if not any(re.search(bugs["label"], label) for label in issue.labels):
            continue
        told = any(re.search(bugs["escape_label"], label) for label in issue.labels)
        soon = any(tag.at <= issue.created < tag.at + length for tag in project.tags)
        found.append((issue.created, int(told or soon)))
    return found

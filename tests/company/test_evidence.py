"""What is worked out without asking is what GitLab answers when asked: versions, rewrites, closed issues."""

from __future__ import annotations

import datetime as dt
import json
import urllib.request
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from apps.collector import models
from tests.company.company import TOKEN, Company, collect_all

pytestmark = pytest.mark.django_db


def ask(gitlab: Company, path: str) -> Any:
    request = urllib.request.Request(f"{gitlab.url}/api/v4{path}", headers={"PRIVATE-TOKEN": TOKEN})  # noqa: S310  # our own process
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # our own process
        return json.load(answer)


@pytest.fixture
def merged(gitlab):
    collect_all(gitlab.client())
    found = models.RawMergeRequest.objects.filter(state="merged", deleted_at__isnull=True)
    return list(found.select_related("project").order_by("mr_id"))


def test_versions_and_rewrites_are_those_of_gitlab(gitlab, merged):
    ours = defaultdict(list)
    for one in models.RawMergeRequestVersion.objects.order_by("created_at", "version_id"):
        ours[one.mr_id].append(one)
    gitlab.counts()
    compared = 0
    for mr in merged:
        path = f"/projects/{mr.project_id}"
        theirs = ask(gitlab, f"{path}/merge_requests/{mr.iid}/versions?per_page=100")[::-1]
        known = ours[mr.mr_id]
        if len(theirs) < 2:
            assert not known
            continue
        assert [one.head_sha for one in known] == [one["head_commit_sha"] for one in theirs]
        for mine, other in zip(known, theirs, strict=True):
            told = dt.datetime.fromisoformat(other["created_at"])
            assert abs(mine.created_at - told) < dt.timedelta(seconds=1)
        for before, after in pairwise(known):
            base = ask(
                gitlab, f"{path}/repository/merge_base?refs[]={before.head_sha}&refs[]={after.head_sha}"
            )
            assert after.rewrites is (base["id"] != before.head_sha), (
                mr.mr_id,
                before.head_sha,
                after.head_sha,
            )
            compared += 1
    assert compared > 50


def test_few_requests_are_spent_on_them(gitlab):
    gitlab.counts()
    collect_all(gitlab.client())
    asked = gitlab.counts()
    merged = models.RawMergeRequest.objects.filter(state="merged").count()
    singles = ("versions", "merge_base", "closes_issues", "signature")
    assert sum(count for route, count in asked.items() if route.endswith(singles)) < 0.1 * merged, asked


def test_closed_issues_are_those_of_gitlab(gitlab, merged):
    ours = defaultdict(set)
    for mr, project, iid in models.RawMergeRequestIssue.objects.values_list(
        "mr_id", "issue_project", "issue_iid"
    ):
        ours[mr].add((project, iid))
    links = 0
    for mr in merged:
        if mr.target_branch != mr.project.default_branch:
            continue  # GitLab says that it closes nothing; we keep what its words say
        theirs = ask(gitlab, f"/projects/{mr.project_id}/merge_requests/{mr.iid}/closes_issues?per_page=100")
        assert ours[mr.mr_id] == {(str(one["project_id"]), one["iid"]) for one in theirs}, mr.mr_id
        links += len(theirs)
    assert links > 20


def test_issues_that_merge_requests_close_are_brought_whatever_their_age(gitlab, merged):
    links = models.RawMergeRequestIssue.objects.filter(issue_project__regex="^[0-9]+$")
    known = set(models.RawIssue.objects.values_list("project_id", "iid"))
    collected = set(models.Project.objects.filter(in_scope=True).values_list("pk", flat=True))
    wanted = {(int(project), iid) for project, iid in links.values_list("issue_project", "issue_iid")}
    missing = {pair for pair in wanted - known if pair[0] in collected}
    assert not missing

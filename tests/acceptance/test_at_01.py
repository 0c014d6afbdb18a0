"""AT-01: a repo's pipeline success rate over 30 days is GitLab's own count, give or take one pipeline."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.acceptance.conftest import Published

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("acceptance company")]


def test_the_success_rate_of_every_repo_is_what_gitlab_counts(published: Published) -> None:
    since, until = published.month()
    compared = 0
    for repo in published.repos:
        listed = published.gitlab.every(f"/projects/{repo.replace('/', '%2F')}/pipelines")
        created = [one for one in listed if since <= dt.datetime.fromisoformat(one["created_at"]) < until]
        passed = sum(one["status"] == "success" for one in created)
        failed = sum(one["status"] == "failed" for one in created)
        rate, n = published.value(repo, "pipeline_success_rate")
        assert abs(n - (passed + failed)) <= 1, repo
        if n:
            assert rate is not None
            assert abs(rate * n - passed) <= 1, repo
            assert published.evidence["pipeline_success_rate", repo]["n"] == n
        else:
            assert rate is None
        compared += n
    assert compared > 300

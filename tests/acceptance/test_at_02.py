"""AT-02: the cycle time of a merge request is merged_at less its first commit, to the minute.

First commit: the earliest authored date among the commits that GitLab lists for the merge request.
"""

from __future__ import annotations

import datetime as dt
import statistics

import pytest

from tests.acceptance.conftest import Published

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("acceptance company")]
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def test_the_cycle_time_of_every_merge_request_is_its_own(published: Published) -> None:
    since, until = published.month()
    compared = 0
    for repo in published.repos:
        project = f"/projects/{repo.replace('/', '%2F')}"
        told = published.evidence["mr_cycle_time_p50_h", repo]
        ours = {int(one["url"].rpartition("/")[2]): one["contribution"] for one in told["entities"]}
        theirs = {}
        for one in published.gitlab.every(f"{project}/merge_requests", state="merged", scope="all"):
            merged = one["merged_at"] and dt.datetime.fromisoformat(one["merged_at"])
            if merged is None or not since <= merged < until:
                continue
            commits = published.gitlab.every(f"{project}/merge_requests/{one['iid']}/commits")
            authored = [dt.datetime.fromisoformat(commit["authored_date"]) for commit in commits]
            length = (merged - min(authored)) / dt.timedelta(milliseconds=1) if authored else 0
            if length > 0:
                theirs[one["iid"]] = length
        assert ours.keys() == theirs.keys(), repo
        assert all(abs(ours[iid] - theirs[iid]) <= MINUTE_MS for iid in ours), repo
        if theirs:
            median, _ = published.value(repo, "mr_cycle_time_p50_h")
            assert median == pytest.approx(statistics.median(theirs.values()) / HOUR_MS, abs=1 / 60)
        compared += len(theirs)
    assert compared > 50

"""AT-03: mean time to green is above zero where a failed pipeline is followed by a passing one on its ref."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.acceptance.conftest import Published

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("acceptance company")]


def greened(listed: list[dict[str, Any]]) -> dict[int, int]:
    """Failed pipeline -> the next one of the same ref that passed."""
    found = {}
    ordered = sorted(listed, key=lambda one: one["id"])
    for place, failed in enumerate(ordered):
        later = (one for one in ordered[place:] if one["ref"] == failed["ref"] and one["status"] == "success")
        if failed["status"] == "failed" and (passed := next(later, None)):
            found[failed["id"]] = passed["id"]
    return found


def test_time_to_green_is_told_wherever_a_failure_was_mended(published: Published) -> None:
    since, until = published.month()
    compared = 0
    for repo in published.repos:
        project = f"/projects/{repo.replace('/', '%2F')}"

        def ended(pipeline: int, project: str = project) -> dt.datetime:
            one = published.gitlab.one(f"{project}/pipelines/{pipeline}")
            return dt.datetime.fromisoformat(one["finished_at"] or one["updated_at"])

        hours = []
        for failed, passed in greened(published.gitlab.every(f"{project}/pipelines")).items():
            begun, over = ended(failed), ended(passed)
            if since <= over < until and over > begun:
                hours.append((over - begun) / dt.timedelta(hours=1))
        mean, n = published.value(repo, "mean_time_to_green_h")
        assert n == len(hours), repo
        if hours:
            assert mean is not None
            assert mean > 0
            assert mean == pytest.approx(sum(hours) / len(hours), abs=2 / 3600)  # GraphQL tells whole seconds
        else:
            assert mean is None
        compared += n
    assert compared > 10

"""AT-05: a tag that is no valid SemVer has semver_valid = false."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.conftest import Published

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("acceptance company")]
NUMBER, WORD = r"(0|[1-9][0-9]*)", r"(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
SEMVER = re.compile(
    rf"v?{NUMBER}\.{NUMBER}\.{NUMBER}(-{WORD}(\.{WORD})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""SemVer 2.0.0 by its grammar, after at most one leading v."""


def test_every_tag_is_judged_by_its_name(published: Published) -> None:
    valid, invalid = 0, 0
    for repo in published.repos:
        about = published.gitlab.one(f"/projects/{repo.replace('/', '%2F')}")
        if about["empty_repo"]:
            continue
        tags = published.gitlab.every(f"/projects/{repo.replace('/', '%2F')}/repository/tags")
        theirs = {one["name"]: SEMVER.fullmatch(one["name"]) is not None for one in tags}
        assert published.releases[repo] == theirs, repo
        valid, invalid = valid + sum(theirs.values()), invalid + sum(not one for one in theirs.values())
    assert valid > 5
    assert invalid > 0

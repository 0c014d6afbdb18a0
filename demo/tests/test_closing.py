"""What closes an issue and what only speaks of it; what a push leaves behind."""

from __future__ import annotations

import pytest

from demo.closing import OLD, closed_by
from demo.entities import MergeRequest
from demo.tests.conftest import Gitlab
from demo.times import DAY, parse
from demo.world import World

NOW = parse("2026-06-15T10:00:00Z")
OTHER = "toman/exchange/trading/engine"


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=5, projects=8, start=NOW - 60 * DAY, now=NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Closes #4", ["4"]),
        ("Closes #4, #6, Related to #5", ["4", "6"]),
        ("closing: #4 and #5 and,  #6", ["4", "5"]),
        (f"Fix {OTHER}#2 and #3", [f"{OTHER}#2", "3"]),
        ("Resolved checkout#2", ["2"]),
        (f"Implements issues https://gitlab.example.org/{OTHER}/-/issues/2.", [f"{OTHER}#2"]),
        ("Closes https://example.com/1", []),
        ("`Closes #4`", ["4"]),
        ("Closes `#4`", []),
        ("Related to #5", []),
        ("Disclose #5, it fixes nothing of #6", []),
        ("Closes #999999", []),
        ("Closes toman/nowhere#1", []),
    ],
)
def test_the_default_pattern(world: World, text: str, expected: list[str]) -> None:
    project = world.by_path["toman/core/platform/checkout"]
    made = MergeRequest(1, 1, project, None, "No issue", text, "branch", "main", 0, 0)
    found = closed_by(made, world.by_path.get)
    assert [("" if one.project is project else f"{one.project.path}#") + str(one.iid) for one in found] == [
        *expected
    ]
    made.target_branch = "release/1.x"
    assert closed_by(made, world.by_path.get) == []


def test_issues_are_closed_here_and_elsewhere_and_some_are_old(world: World) -> None:
    merged = [made for one in world.projects.values() for made in one.merge_requests if made.merged]
    closes = [(made, issue) for made in merged for issue in made.closes]
    assert any(issue.project is not made.project and issue.state == "closed" for made, issue in closes)
    assert any(issue.iid <= OLD and made.created - issue.created > 180 * DAY for made, issue in closes)
    assert any("Fixes #" in commit.message for made in merged for commit in made.commits)
    assert any("#" in made.description and not made.closes for made in merged)
    for made, issue in closes:
        ended = [event.at for event in issue.states if event.state == "closed"]
        kept = issue.moved_to or issue.project.archived
        assert kept or any(at <= (made.merged or 0) for at in ended), (made.iid, issue.iid)


def test_rest_tells_which_issues_are_closed(gitlab: Gitlab) -> None:
    base = "projects/toman%2Fcore%2Fplatform%2Fcheckout/merge_requests"
    rows = [row for row in gitlab.everything(f"{base}?state=merged") if "/-/issues/" in row["description"]]
    assert rows and all(gitlab.url in row["description"] for row in rows)
    for row in rows[:5]:
        assert gitlab.get(f"{base}/{row['iid']}/closes_issues").json or row["target_branch"] != "main"


def test_every_push_that_brings_commits_leaves_a_note(world: World) -> None:
    less = rebased = 0
    for made in [made for one in world.projects.values() for made in one.merge_requests]:
        known: set[str] = set()
        bringing = 0
        for before, version in zip([None, *made.versions], made.versions, strict=False):
            shas = {commit.sha for commit in version.commits}
            bringing += bool(shas - known)
            less += before is not None and not shas - known
            rebased += before is not None and before.base != version.base
            known |= shas
        assert sum(note.action == "commit" for note in made.notes) == bringing - 1
    assert less and rebased

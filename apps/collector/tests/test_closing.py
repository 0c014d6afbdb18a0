"""Which issues a text closes, by GitLab's documented default pattern, and where only GitLab can tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apps.collector import models
from apps.collector.closing import CUSTOM, closed_issues, references
from apps.collector.closing_check import check_closing_words
from apps.collector.tests.builders import project
from apps.collector.tests.server import NOW

NUMBERS = {"toman/core/api": 8, "toman/core/self": 7}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Closes #4", [("", 4)]),
        ("closes: #4", [("", 4)]),
        ("This fixes #4, #5 and #6.", [("", 4), ("", 5), ("", 6)]),
        ("Resolving issue #4", [("", 4)]),
        ("Implements issues #4, and #7", [("", 4), ("", 7)]),
        ("Fix toman/core/api#12 and #13", [("toman/core/api", 12), ("", 13)]),
        ("Closes https://gitlab.example.org/toman/core/api/-/issues/9", [("toman/core/api", 9)]),
        ("Closed https://gitlab.example.org/toman/core/api/issues/9", [("toman/core/api", 9)]),
        ("Related to #5", []),
        ("See #5, closes #6", [("", 6)]),
        ("Closes the door on #5", []),
        ("encloses #5", []),
        ("CLOSES #5", []),
        ("Closes !5", []),
        ("Closes #5abc", []),
        ("Fixes #1\nFixes #2", [("", 1), ("", 2)]),
        ("", []),
    ],
)
def test_references_that_close(text, found):
    assert list(references(text)) == found


def links(description, *messages, numbers=NUMBERS, fields=None):
    commits = [SimpleNamespace(message=message) for message in messages]
    document = SimpleNamespace(description=description, commits=SimpleNamespace(nodes=commits))
    finder = closed_issues("description", "commits.nodes[].message")
    given = {"project_id": 7, "numbers": numbers, "server_fields": fields or {}}
    found = finder.items(document, given)
    return None if found is None else [(one.project_id, one.iid) for one in found]


def test_description_and_commits_count_and_each_issue_once():
    assert links("Closes #4", "Fix #4", "Fixes toman/core/api#2") == [("7", 4), ("8", 2)]
    assert links(None) == []


@pytest.mark.parametrize(
    "text",
    [
        "Closes `#4`",
        "> Closes #4",
        "<!-- Closes #4 -->",
        "Closes elsewhere/gone#4",
        "Closes api#4",  # a neighbour, by its name alone
    ],
)
def test_what_is_not_certain_is_left_for_gitlab_to_say(text):
    assert links(text) is None


def test_code_without_a_reference_is_no_reason_to_ask():
    assert links("Rename `old` to `new`") == []


def test_a_project_that_closes_no_issues_is_asked_about():
    assert links("Closes #4", numbers={"toman/core/api": 8}) is None
    assert links("Nothing here", numbers={}) == []


def test_a_server_with_words_of_its_own_is_asked_wherever_an_issue_is_named():
    fields = {CUSTOM: []}
    assert links("Finishes #4", fields=fields) is None
    assert links("No issue at all", fields=fields) == []


@pytest.mark.django_db
class TestCheck:
    """A few of GitLab's own answers, held against ours."""

    @pytest.fixture(autouse=True)
    def merged(self, gitlab):
        self.gitlab = gitlab
        project()
        models.Server.objects.create(url=gitlab.url, probed_at=NOW)
        for number, issue in ((1, 4), (2, None)):
            models.RawMergeRequest.objects.create(
                mr_id=number, iid=number, project_id=7, state="merged", target_branch="main", created_at=NOW,
                updated_at=NOW, merged_at=NOW, links_at=NOW, fetched_at=NOW,
            )  # fmt: skip
            if issue:
                models.RawMergeRequestIssue.objects.create(
                    project_id=7, mr_id=number, issue_project="7", issue_iid=issue, fetched_at=NOW
                )
            self.tell(number, *([issue] if issue else []))

    def tell(self, number: int, *issues: int) -> None:
        rows = [{"id": 900 + iid, "iid": iid, "project_id": 7} for iid in issues]
        self.gitlab.lists[f"/projects/7/merge_requests/{number}/closes_issues"] = rows

    def is_trusted(self, client) -> bool:
        check_closing_words(client)
        asked_again = models.RawMergeRequest.objects.filter(links_at=None).count()
        trusted = not models.Server.objects.get().closes_otherwise
        assert asked_again == (0 if trusted else 2)
        return trusted

    def test_the_same_answers_change_nothing(self, client):
        assert self.is_trusted(client)

    def test_an_issue_that_does_not_exist_is_no_difference(self, client):
        self.tell(1)
        assert self.is_trusted(client)

    def test_an_existing_issue_that_gitlab_does_not_name_is_one(self, client):
        models.RawIssue.objects.create(
            issue_id=904, iid=4, project_id=7, state="opened", created_at=NOW, updated_at=NOW, fetched_at=NOW
        )
        self.tell(1)
        assert not self.is_trusted(client)

    def test_an_issue_that_only_gitlab_names_is_one(self, client):
        self.tell(2, 6)
        assert not self.is_trusted(client)
        asked = client.requests
        check_closing_words(client)
        assert client.requests == asked

"""Which issues a text closes, by GitLab's documented default pattern, and where only GitLab can tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apps.collector.closing import closed_issues, references

NUMBERS = {"toman/core/api": 8}


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


def links(description, *messages):
    commits = [SimpleNamespace(message=message) for message in messages]
    document = SimpleNamespace(description=description, commits=SimpleNamespace(nodes=commits))
    finder = closed_issues("description", "commits.nodes[].message")
    found = finder.items(document, {"project_id": 7, "numbers": NUMBERS})
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

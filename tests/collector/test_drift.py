"""A server that speaks otherwise than it did: what can be understood is kept, the rest put aside, nothing
stops."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from apps.collector import models
from tests.collector.collecting import LEDGER, assert_equal, discovered, through
from tests.collector.line import Asked, Reply
from tests.company.company import content

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.xdist_group("demo company"),
    pytest.mark.usefixtures("no_secret_anywhere"),
]

OPTIONAL = (
    *("merge_user", "merged_by", "draft", "work_in_progress", "labels", "reviewers", "closed_at", "stats"),
    *("source_project_id", "tier", "deployable", "moved_to_id", "protected", "push_data"),
)


def everywhere(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Asked, Reply], Reply]:
    """Every object of every answer about the project, changed, innermost first."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(one) for one in value]
        return change({k: walk(v) for k, v in value.items()}) if isinstance(value, dict) else value

    def spoil(asked: Asked, reply: Reply) -> Reply:
        if reply.status != 200 or (asked.is_graphql and change is with_more):
            return reply  # GraphQL answers what it was asked for
        return replace(reply, body=json.dumps(walk(json.loads(reply.body))).encode())

    return spoil


def with_more(row: dict[str, Any]) -> dict[str, Any]:
    return {"brand_new": {"a": [1, {"b": None}]}, **row, "__typename": "Thing"}


def with_numbers_as_text(row: dict[str, Any]) -> dict[str, Any]:
    if "username" in row:
        return row
    return {k: str(v) if k in ("id", "iid") and isinstance(v, int) else v for k, v in row.items()}


@pytest.mark.parametrize("change", [with_more, with_numbers_as_text])
def test_what_means_the_same_is_stored_the_same(line, begun, whole, change):
    line.spoil = everywhere(change)
    assert through(begun, LEDGER)[0] == ""
    assert_equal(whole, content())
    assert not models.Quarantine.objects.exists()


def test_words_that_no_gitlab_knew_are_kept(line, begun, whole):
    word = re.compile(rb'"(state|status|source)": ?"\w+"')
    line.spoil = lambda asked, reply: replace(reply, body=word.sub(rb'"\1":"waiting_for_godot"', reply.body))
    assert through(begun, LEDGER)[0] == ""
    assert not models.Quarantine.objects.exists()
    for model in (models.RawMergeRequest, models.RawPipeline, models.RawJob, models.RawIssue):
        found = model.objects.filter(project_id=LEDGER)
        assert found.count() == len(whole[model.__name__])
        words = set(model.objects.filter(project_id=LEDGER).values_list(word_of(model), flat=True))
        assert words == {"waiting_for_godot"}


def word_of(model: Any) -> str:
    return "status" if model in (models.RawPipeline, models.RawJob) else "state"


def test_keys_that_are_missing_leave_their_columns_empty(line, begun, whole):
    line.spoil = everywhere(lambda row: {k: v for k, v in row.items() if k not in OPTIONAL})
    assert through(begun, LEDGER)[0] == ""
    found = content()
    for name in ("RawMergeRequest", "RawIssue", "RawPipeline", "RawEnvironment", "RawCommit", "RawPushEvent"):
        assert len(found[name]) == len(whole[name]), name
    assert set(models.RawMergeRequest.objects.values_list("merge_user_id", "draft").distinct()) == {
        (None, None)
    }


@pytest.mark.parametrize("value", [None, {"a": 1}, "", "yesterday"])
def test_a_compulsory_value_that_is_none_costs_its_row_only(line, begun, whole, value):
    rng = random.Random(1)

    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "created_at": value} if "created_at" in row and rng.random() < 0.2 else row

    line.spoil = everywhere(change)
    assert through(begun, LEDGER)[0] == ""
    for model, table in ((models.RawIssue, "raw_issue"), (models.RawPipeline, "raw_pipeline")):
        refused = models.Quarantine.objects.filter(entity=table)
        assert refused.exists()
        assert {one.reason.split()[0] for one in refused} == {"created_at"}
        lost = {one.entity_id for one in refused}
        stored = {str(pk) for pk in model.objects.filter(project_id=LEDGER).values_list("pk", flat=True)}
        assert len(lost | stored) == len(whole[model.__name__])


def test_a_server_that_knows_neither_order_nor_bound_is_read_whole(line, begun, whole):
    told = re.compile(r"(?:order_by|sort|updated_after|after)=[^&]*&?")

    def deaf(asked: Asked) -> Reply | None:
        heard = told.sub("", asked.address)
        return None if heard == asked.address else line.hand_on(replace(asked, address=heard))

    line.instead = deaf
    assert through(begun, LEDGER)[0] == ""
    found = content()
    for name, rows in whole.items():
        assert rows <= found[name], name  # and more: what lies before history came too


# --- GraphQL from one run to the next -------------------------------------------------------------

GONE = "mergeUser"
NO_FIELD = {"errors": [{"message": f"Field '{GONE}' doesn't exist on type 'MergeRequest'"}]}


def without_field(asked: Asked) -> Reply | None:
    """As a server after its upgrade: who asks for the field is refused."""
    if asked.is_graphql and GONE.encode() in asked.body:
        return Reply(200, json.dumps(NO_FIELD).encode())
    return None


def test_a_graphql_field_that_vanishes_sends_us_to_rest_until_the_next_probe(line, begun, whole):
    line.instead = without_field
    assert through(begun, LEDGER)[0] == ""
    assert line.count(GONE) == 1  # asked once, and then no more
    assert line.count("/notes") > 10
    found = content()
    for name in ("RawMergeRequest", "RawMergeRequestEvent", "RawMergeRequestCommit", "RawJob"):
        assert len(found[name]) == len(whole[name]), name
    line.spoil = everywhere(lambda row: {**row, "name": "other"} if row.get("name") == GONE else row)
    discovered(begun)
    models.RawMergeRequest.objects.update(detail_at=None)
    line.asked.clear()
    assert through(begun, LEDGER)[0] == ""
    assert line.count("query MergeRequests") >= 1
    assert line.count(GONE) == line.count("/notes") == 0


# --- copies ---------------------------------------------------------------------------------------


def twice(asked: Asked, reply: Reply) -> Reply:
    """Every row of a list two times, with an older copy of it before or behind."""
    rows = json.loads(reply.body) if reply.status == 200 and not asked.is_graphql else None
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return reply
    found = []
    for row in rows:
        found += [row, row]
        if "updated_at" in row and "title" in row:
            old = {**row, "title": "old", "state": "opened", "updated_at": row["created_at"]}
            found.insert(len(found) - 1 if len(found) % 3 else 0, old)
    return replace(reply, body=json.dumps(found).encode())


def test_copies_of_rows_fold_into_the_newest_whatever_their_order(line, begun, whole):
    line.spoil = twice
    assert through(begun, LEDGER)[0] == ""
    assert_equal(whole, content())

"""What GraphQL and REST tell of the same company is the same, wherever both can know."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from apps.collector import models
from apps.collector.client import Client
from tests.collector.collecting import collected, collected_from_nothing, written
from tests.collector.line import Reply
from tests.company.company import CONTENT

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.xdist_group("demo company"),
    pytest.mark.usefixtures("no_secret_anywhere"),
]

# What one of them alone can know. REST, where GraphQL tells nothing: null stays null.
GRAPHQL_ALONE = {
    "User": {"is_bot", "email_hash"},  # the address follows from GitLab's own link to a commit's author
    "RawMergeRequest": {"lines_added", "lines_removed"},
    "RawMergeRequestCommit": {"author_user_id", "is_signed"},
    "RawCommit": {"author_user_id", "is_signed"},  # REST asks for signatures within history only
    "RawPipeline": {"commit_is_signed"},
    "RawJob": {"scheduling_type", "needs"},
}
# GraphQL names who approves and not when; the note that they did has the moment.
REST_ALONE = ("RawMergeRequestEvent", "at")
# GraphQL tells times and lengths in whole seconds.
IN_SECONDS = {
    "RawMergeRequestCommit": {"authored_at"},
    "RawMergeRequestEvent": {"at"},
    "RawPipeline": {"created_at", "updated_at", "detail_at", "started_at", "finished_at"},
    "RawJob": {"created_at", "started_at", "finished_at", "duration_sec"},
}
MARKED = ("RawMergeRequest", "RawPipeline")
Key = tuple[Any, ...]
Rows = dict[str, dict[Key, dict[str, Any]]]  # by model, key and column
OURS = {"id", "fetched_at", "compared_at", "versions_at", "settled_at"}  # when we looked


def rows() -> Rows:
    """The whole content."""
    found: Rows = {}
    for model in CONTENT:
        names = [model._meta.pk.name]
        if names == ["id"]:
            names = [model._meta.get_field(name).attname for name in model._meta.constraints[0].fields]
        found[model.__name__] = {
            tuple(row[name] for name in names): {k: v for k, v in row.items() if k not in OURS}
            for row in model.objects.values()
        }
    return found


def whole_seconds(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.replace(microsecond=0)
    return int(value) if isinstance(value, float) else value


def everything_due_again() -> None:
    """As if nothing were known of what was read."""
    models.IngestionState.objects.all().delete()
    models.RawMergeRequest.objects.update(detail_at=None, links_at=None, versions_at=None)
    models.RawPipeline.objects.update(detail_at=None)


def twice(client: Client) -> tuple[Rows, Rows]:
    """The content of two full collections in a row, the second of which leaves every row where it is."""
    collected_from_nothing(client)
    first = rows()
    everything_due_again()
    before = written()
    assert {reason for reason, _ in collected(client).values()} == {""}
    after = written()
    for name in MARKED:  # the mark of what is due stands in these rows themselves
        del before[name], after[name]
    assert after == before
    return first, rows()


def test_both_routes_fill_the_same_rows_and_a_second_collection_none(line, client_to):
    by_graphql, again = twice(client_to(line.url))
    assert again == by_graphql
    line.instead = lambda asked: Reply(404, b'{"error":"404 Not Found"}') if asked.is_graphql else None
    collected_from_nothing(client_to(line.url))
    by_rest = rows()
    for name, one in by_graphql.items():
        assert one.keys() == by_rest[name].keys(), name
        for key, row in one.items():
            for column, value in row.items():
                agree(name, key, column, value, by_rest[name][key][column])


@pytest.mark.soak
def test_a_second_collection_by_rest_alone_fills_no_row(line, client_to):
    line.instead = lambda asked: Reply(404, b'{"error":"404 Not Found"}') if asked.is_graphql else None
    by_rest, again = twice(client_to(line.url))
    assert again == by_rest


def agree(name: str, key: Key, column: str, by_graphql: Any, by_rest: Any) -> None:
    """One cell by two routes."""
    where = (name, key, column)
    if column in GRAPHQL_ALONE.get(name, ()):
        assert by_rest is None or by_rest == by_graphql, where
    elif where[::2] == REST_ALONE and str(key[1]).startswith("approval:"):
        assert by_graphql is None, where
        assert by_rest is not None, where
    elif column == "changes_count" and by_rest == "1000+":
        assert int(by_graphql) >= 1000, where
    elif column in IN_SECONDS.get(name, ()):
        assert whole_seconds(by_rest) == whole_seconds(by_graphql), where
    else:
        assert by_rest == by_graphql, where

"""What changes while a project is being read: the token, the project, its path, the routes to it.

Nothing that was read is lost, what is left out has its reason, and the next collection makes it whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import transaction

from apps.collector import models
from apps.collector.collect import collect
from apps.collector.errors import GitlabUnavailable, TokenRefused
from apps.runs.ledger import Unrecorded
from tests.collector.collecting import LEDGER, assert_equal, discovered, is_whole, keeps_its_secret, through
from tests.collector.line import JSON, Asked, Reply
from tests.company.company import SINCE, content

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.xdist_group("demo company"),
    pytest.mark.usefixtures("no_secret_anywhere"),
]

CHECKOUT = 71000000
PATH = "toman/corporate-services/finance/ledger"
GONE = Reply(404, b'{"message":"404 Project Not Found"}')
CLOSED = Reply(403, b'{"message":"403 Forbidden"}')
REVOKED = Reply(401, b'{"message":"401 Unauthorized"}')
UNSCOPED = Reply(403, b'{"error":"insufficient_scope","scope":"api read_api"}')
NO_PROJECT = Reply(200, b'{"data":{"project":null}}')

Instead = Callable[[Asked], Reply | None]


def after(number: int, then: Instead) -> Instead:
    """As ever for so many requests."""
    left = [number]

    def instead(asked: Asked) -> Reply | None:
        left[0] -= 1
        return then(asked) if left[0] < 0 else None

    return instead


def once(part: str, then: Instead) -> Instead:
    """As ever until a query with this in it has been asked."""
    seen: list[Asked] = []

    def instead(asked: Asked) -> Reply | None:
        if seen:
            return then(asked)
        seen.extend([asked] if part.encode() in asked.body else [])
        return None

    return instead


def of(project: int, reply: Reply, *, graphql: Reply = NO_PROJECT) -> Instead:
    """This for everything that is asked of a project."""

    def instead(asked: Asked) -> Reply | None:
        if asked.is_graphql:
            return graphql if PATH.encode() in asked.body else None
        return reply if asked.path.startswith(f"/projects/{project}") else None

    return instead


def to(part: str, reply: Reply) -> Instead:
    """This for addresses and queries with this in them."""
    return lambda asked: reply if part in asked.address or part.encode() in asked.body else None


def renamed(asked: Asked, reply: Reply) -> Reply:
    return replace(reply, body=reply.body.replace(b"finance/ledger", b"finance/books"))


@pytest.mark.parametrize(
    "instead",
    [
        after(0, to("", REVOKED)),
        after(9, to("", REVOKED)),
        after(20, to("", UNSCOPED)),
        to("/api/graphql", Reply(401, b'{"errors":[{"message":"Invalid token"}]}')),
    ],
    ids=["at once", "in the lists", "in the details", "for GraphQL"],
)
def test_a_token_that_is_revoked_midway_loses_nothing(line, begun, whole, instead):
    line.instead = instead
    with pytest.raises(TokenRefused, match="GITLAB_API_TOKEN") as refused:
        collect(LEDGER, client=begun, since=SINCE, step=Unrecorded())
    keeps_its_secret(refused.value)
    assert not models.Exclusion.objects.filter(project_id=LEDGER).exists()
    is_whole(line, begun, whole)


@pytest.mark.parametrize(
    "instead",
    [
        after(5, of(LEDGER, CLOSED)),
        after(14, of(LEDGER, GONE)),
        once("query Pipelines", of(LEDGER, GONE, graphql=GONE)),
    ],
    ids=["forbidden in the lists", "deleted in the lists", "deleted in the details"],
)
def test_a_project_that_is_closed_midway_is_left_out_and_others_are_not(line, begun, whole, instead):
    line.instead = instead
    assert through(begun, LEDGER)[0] == "no_access"
    assert models.Exclusion.objects.get(project_id=LEDGER).reason == "no_access"
    with transaction.atomic():
        assert through(begun, CHECKOUT)[0] == ""
        assert models.RawPipeline.objects.filter(project_id=CHECKOUT, detail_at__isnull=False).exists()
        transaction.set_rollback(True)
    is_whole(line, begun, whole)


def is_whole_but_for_checkout(line, client, whole) -> None:
    line.calm()
    discovered(client)
    assert through(client, LEDGER)[0] == ""
    kept = {
        name: {row for row in rows if f"('project_id', {CHECKOUT})" not in row}
        for name, rows in content().items()
    }
    for name in ("Project", "User"):
        del kept[name]
    assert_equal({name: whole[name] for name in kept}, kept)


@pytest.mark.parametrize(
    ("part", "entity", "reply"),
    [
        ("/merge_requests", "merge_requests", CLOSED),
        ("/repository/", "commits", GONE),
        ("/issues", "issues", CLOSED),
        ("/pipelines", "pipelines", CLOSED),
    ],
)
def test_a_part_that_is_closed_midway_narrows_the_project(line, begun, whole, part, entity, reply):
    line.instead = to(f"/projects/{LEDGER}{part}", reply)
    assert through(begun, LEDGER)[0] == ""
    state = models.IngestionState.objects.get(level_id=LEDGER, entity=entity)
    assert state.unavailable == "no_access"
    assert not models.Exclusion.objects.filter(project_id=LEDGER).exists()
    is_whole(line, begun, whole)


def test_a_project_that_is_renamed_midway_is_read_on_by_its_number(line, begun, whole):
    line.instead = after(10, lambda asked: NO_PROJECT if asked.is_graphql else None)
    assert through(begun, LEDGER)[0] == ""
    found = content()
    for name in ("RawMergeRequest", "RawPipeline", "RawJob", "RawMergeRequestEvent"):
        assert len(found[name]) == len(whole[name])
    assert models.RawPipeline.objects.filter(project_id=LEDGER, detail_at__isnull=True).count() == 0
    line.calm()
    line.spoil = lambda asked, reply: replace(
        reply, body=reply.body.replace(b"finance/ledger", b"finance/books")
    )
    discovered(begun)
    assert models.Project.objects.get(pk=LEDGER).path_with_namespace.endswith("finance/books")


def test_a_group_that_moved_is_followed_on_the_same_host(line, client_to, begun):
    moved = {"Location": f"{line.url}/api/v4/groups/moved/projects?per_page=100", **JSON}
    asked: list[str] = []

    def instead(one: Asked) -> Reply | None:
        asked.append(one.path)
        if one.path == "/groups/toman%2Fexchange/projects":
            return Reply(301, b"{}", moved)
        return Reply(200, b"[]") if one.path == "/groups/moved/projects" else None

    line.instead = instead
    assert 71000034 not in discovered(begun)
    assert "/groups/moved/projects" in asked
    assert models.Exclusion.objects.get(project_id=71000034).reason == "out_of_scope"


def test_a_redirect_to_another_host_is_not_followed(line, begun):
    elsewhere = {"Location": line.url.replace("127.0.0.1", "localhost") + "/api/v4/version", **JSON}
    line.instead = to(f"/projects/{LEDGER}/releases", Reply(302, b"{}", elsewhere))
    with pytest.raises(GitlabUnavailable, match="redirects elsewhere"):
        collect(LEDGER, client=begun, since=SINCE, step=Unrecorded())
    assert line.count("/api/v4/version") == 0


def test_a_row_that_is_deleted_between_its_list_and_its_details_takes_nothing_with_it(line, begun, whole):
    numbers = [int(row.split("('iid', ")[1].split(")")[0]) for row in sorted(whole["RawMergeRequest"])]
    gone = f"/merge_requests/{numbers[0]}"
    line.instead = lambda asked: GONE if asked.is_graphql or f"{gone}/" in f"{asked.path}/" else None
    assert through(begun, LEDGER)[0] == ""
    found = content()
    assert len(found["RawMergeRequest"]) == len(whole["RawMergeRequest"])
    due = models.RawMergeRequest.objects.filter(project_id=LEDGER).exclude(detail_at__isnull=False)
    assert set(due.values_list("iid", flat=True)) <= {numbers[0]}

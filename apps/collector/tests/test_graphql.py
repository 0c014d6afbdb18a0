"""The GraphQL routes: the same rows as REST alone, and no trust in a status of 200."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from apps.collector import models
from apps.collector.errors import GitlabUnavailable
from apps.collector.query_text import QUERIES, query_text
from apps.collector.server import probe
from apps.collector.tests.builders import at, project, small_world
from apps.collector.tests.server import Asked, FakeGitlab, Reply, answer
from apps.collector.tests.test_collect import RAW, contents, run
from apps.orgmap.models import Organisation

NOW = dt.datetime(2026, 9, 4, 12, tzinfo=dt.UTC)

pytestmark = pytest.mark.django_db

SCHEMA = Path(__file__).parents[4] / "shared" / "gitlab" / "graphql" / "schema-16.3-full.graphql"
FIELDS = {
    "Query": ["queryComplexity"],
    "MergeRequest": ["notes", "commits", "description", "mergeUser", "approvalsRequired", "diffStatsSummary"],
    "Note": ["systemNoteMetadata"],
    "Commit": ["authoredDate", "message", "authorEmail", "signature"],
    "Pipeline": ["jobs"],
    "CiJob": ["retried", "needs", "schedulingType", "kind"],
}


def person(number: int) -> dict[str, Any]:
    return {
        "id": f"gid://gitlab/User/{number}",
        "username": f"user{number}",
        "name": f"User {number}",
        "state": "active",
        "bot": False,
    }


def note(number: int, body: str, action: str | None = None) -> dict[str, Any]:
    return {
        "id": f"gid://gitlab/Note/{number}",
        "createdAt": at(6 if number < 80 else 7),
        "system": action is not None,
        "body": body,
        "author": person(3),
        "systemNoteMetadata": {"action": action} if action else None,
    }


def merge_request(iid: int) -> dict[str, Any]:
    return {
        "id": f"gid://gitlab/MergeRequest/{1000 + iid}",
        "iid": str(iid),
        "author": person(1),
        "mergeUser": None,
        "approvalsRequired": 1,
        "approvedBy": {"nodes": [person(3)]},
        "diffStatsSummary": {"additions": 5, "deletions": 6, "fileCount": 2},
        "commits": {
            "pageInfo": {"hasNextPage": False, "endCursor": None},
            "nodes": [
                {
                    "sha": "c1",
                    "authoredDate": at(1),
                    "authorEmail": "ann@example.org",
                    "author": person(1),
                    "signature": {"verificationStatus": "VERIFIED"},
                },
            ],
        },
        "notes": {
            "pageInfo": {"hasNextPage": False, "endCursor": None},
            "nodes": [
                note(70 + iid, "secret words"),
                note(80 + iid, "approved", "approved"),
                note(90 + iid, "changed the description", "description"),
            ],
        },
    }


def job(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"gid://gitlab/Ci::Build/{number}",
        "name": "test",
        "kind": "BUILD",
        "retried": False,
        "allowFailure": False,
        "createdAt": at(1),
        "schedulingType": "dag",
        "stage": {"name": "test"},
        "needs": {"nodes": [{"name": "lint"}]},
        **more,
    }


def pipelines() -> list[dict[str, Any]]:
    return [
        {
            "id": "gid://gitlab/Ci::Pipeline/5001",
            "iid": "1",
            "startedAt": at(1),
            "finishedAt": at(3),
            "duration": 110,
            "jobs": {
                "pageInfo": {"hasNextPage": False, "endCursor": None},
                "nodes": [
                    job(61, status="SUCCESS", startedAt=at(2), finishedAt=at(3), duration=60),
                    job(60, status="FAILED", startedAt=at(1), finishedAt=at(2), duration=50, retried=True),
                    job(59, status="SUCCESS", kind="BRIDGE"),
                ],
            },
        }
    ]


class Graph:
    """The fake's GraphQL; `faults` are told first, `most` is how many merge requests it can bear at once."""

    def __init__(self) -> None:
        self.faults: list[Reply] = []
        self.most = 100
        self.merge_requests = {str(iid): merge_request(iid) for iid in (1, 2)}
        self.pipelines = pipelines()
        self.rest_of: dict[str, Any] = {}

    def __call__(self, asked: Asked) -> Reply:
        query, variables = asked.body["query"], asked.body["variables"]
        if "__type" in query:
            return answer(
                {"data": {name: {"fields": [{"name": f} for f in known]} for name, known in FIELDS.items()}}
            )
        if self.faults:
            return self.faults.pop(0)
        if variables.get("n", 0) > self.most:
            return answer(
                {"errors": [{"message": "Query has complexity of 346, which exceeds max complexity of 250"}]}
            )
        return answer({"data": {"project": self._found(query, variables)}})

    def _found(self, query: str, variables: dict[str, Any]) -> Any:
        if "mergeRequests" in query:
            return {"mergeRequests": {"nodes": [self.merge_requests.get(iid) for iid in variables["iids"]]}}
        if "mergeRequest(" in query:
            return {"mergeRequest": self.rest_of.get(variables["iid"])}
        if variables.get("source"):
            return {"pipelines": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}}
        return {"pipelines": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": self.pipelines}}


@pytest.fixture
def graph(gitlab: FakeGitlab, db) -> Graph:
    Organisation.objects.create(name="Toman", root_groups=["toman"], bots=[])
    project()
    small_world(gitlab)
    gitlab.handlers["/api/graphql"] = found = Graph()
    return found


ONLY_GRAPHQL_KNOWS = {
    "is_bot",
    "is_signed",
    "lines_added",
    "lines_removed",
    "gitlab_approvals_required",
    "changes_count",
    "scheduling_type",
    "needs",
    "author_user_id",
    "email_hash",
}
ONLY_REST_KNOWS = {"at": ("approval:",), "duration_sec": ()}  # approved_at; fractions of a second


def comparable() -> dict[str, list[str]]:
    """Every row without what one of the two routes cannot know."""
    found = {}
    for model in RAW:
        rows = []
        for row in model.objects.values():
            kept = {
                k: v
                for k, v in row.items()
                if k not in {"id", "fetched_at", "observed_at", *ONLY_GRAPHQL_KNOWS}
            }
            if str(row.get("event_key", "")).startswith("approval:"):
                kept.pop("at")
            if kept.get("duration_sec") is not None:
                kept["duration_sec"] = int(kept["duration_sec"])
            rows.append(repr(sorted(kept.items())))
        found[model.__name__] = sorted(rows)
    return found


def test_both_routes_fill_the_same_rows(graph, gitlab, client, client_of):
    run(client)
    by_rest = comparable()
    for model in (*RAW[1:], models.IngestionState):
        model.objects.all().delete()
    probe(client, now=NOW)
    gitlab.asked.clear()
    run(client_of())
    assert comparable() == by_rest
    assert gitlab.count("/notes") == gitlab.count("/jobs") == 0
    assert gitlab.count("/api/graphql") == 2


def test_what_only_graphql_knows_arrives(graph, client):
    probe(client, now=NOW)
    run(client)
    mr = models.RawMergeRequest.objects.get(iid=1)
    assert (mr.lines_added, mr.lines_removed, mr.changes_count, mr.gitlab_approvals_required) == (
        5,
        6,
        "2",
        1,
    )
    commit = models.RawMergeRequestCommit.objects.get(mr_id=mr.pk)
    assert (commit.author_user_id, commit.is_signed, len(commit.author_email_hash)) == (1, True, 64)
    jobs = models.RawJob.objects.order_by("job_id").values_list(
        "job_id", "needs", "scheduling_type", "retried_flag"
    )
    assert list(jobs) == [(60, ["lint"], "dag", True), (61, ["lint"], "dag", False)]
    landed = models.RawCommit.objects.get(commit_id="c1")
    assert (landed.author_user_id, landed.is_signed) == (1, True)
    assert (
        models.RawCommit.objects.get(commit_id="c2").author_user_id == 1
    )  # by the address that GitLab linked
    assert models.User.objects.get(pk=1).email_hash == commit.author_email_hash
    assert models.User.objects.get(pk=3).is_bot is False
    assert "secret words" not in repr(contents())


def test_a_complexity_refusal_halves_what_is_asked(graph, gitlab, client):
    graph.most = 1
    probe(client, now=NOW)
    run(client)
    assert models.RawMergeRequestCommit.objects.count() == 2
    assert gitlab.count("/notes") == 0


@pytest.mark.parametrize(
    "fault",
    [
        answer({"errors": [{"message": "Field 'notes' doesn't exist on type 'MergeRequest'"}]}),
        answer(
            {
                "data": {"project": {"mergeRequests": {"nodes": [None]}}},
                "errors": [{"message": "no", "path": []}],
            }
        ),
        answer({"data": {"project": None}}),
        answer({"message": "404"}, 404),
    ],
    ids=["unknown field", "partial", "no project", "no graphql"],
)
def test_an_answer_with_errors_is_no_answer_and_rest_steps_in(graph, gitlab, client, fault):
    probe(client, now=NOW)
    graph.faults = [fault]
    run(client)
    assert models.RawMergeRequestEvent.objects.filter(kind="note").count() == 2
    assert gitlab.count("/merge_requests/1/notes") == 1


def test_a_refused_route_is_remembered_until_the_next_probe(graph, gitlab, client):
    probe(client, now=NOW)
    graph.faults = [answer({"errors": [{"message": "Field 'notes' doesn't exist"}]})]
    run(client)
    kept = models.Server.objects.get().fields["refused"]
    assert list(kept) == ["merge_request_details/graphql"]
    probe(client, now=NOW)
    assert "refused" not in models.Server.objects.get().fields


def test_a_server_error_in_graphql_is_waited_for(graph, client):
    probe(client, now=NOW)
    graph.faults = [Reply(502, b"<html>", {"Content-Type": "text/html"})]
    run(client)
    assert models.RawMergeRequest.objects.filter(lines_added=5).count() == 2


def test_nested_lists_that_were_cut_off_are_read_to_the_end(graph, client):
    first = graph.merge_requests["1"]
    first["notes"]["pageInfo"] = {"hasNextPage": True, "endCursor": "x"}
    graph.rest_of["1"] = {
        "id": first["id"],
        "iid": "1",
        "notes": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": [note(79, "one more")]},
    }
    probe(client, now=NOW)
    run(client)
    assert models.RawMergeRequestEvent.objects.filter(event_key="note:79").exists()


def test_merge_requests_that_graphql_hides_are_read_by_rest(graph, gitlab, client):
    del graph.merge_requests["2"]
    probe(client, now=NOW)
    run(client)
    assert gitlab.count("/merge_requests/2/notes") == 1
    assert gitlab.count("/merge_requests/1/notes") == 0
    assert models.RawMergeRequest.objects.filter(detail_at=None).count() == 0


def test_a_server_without_graphql_is_read_by_rest_alone(graph, gitlab, client):
    gitlab.handlers["/api/graphql"] = lambda _: answer({"error": "404 Not Found"}, 404)
    probe(client, now=NOW)
    assert models.Server.objects.get().fields == {}
    run(client)
    assert models.RawJob.objects.count() == 2


def test_an_unreachable_server_is_no_server_without_graphql(gitlab, client_of):
    gitlab.handlers["/version"] = lambda _: Reply(503, b"", {"Retry-After": "900"})
    with pytest.raises(GitlabUnavailable):
        probe(client_of(), now=NOW)


def test_queries_are_valid_on_a_real_gitlab_and_say_what_they_need():
    graphql = pytest.importorskip("graphql")
    if not SCHEMA.is_file():
        pytest.skip(f"no schema at {SCHEMA}")
    schema = graphql.build_schema(SCHEMA.read_text(encoding="utf-8"), assume_valid=True)
    every = {name: list(getattr(kind, "fields", {})) for name, kind in schema.type_map.items()}
    for file in QUERIES.glob("*.graphql"):
        for text in (query_text(file.name, every), query_text(file.name, {})):
            assert graphql.validate(schema, graphql.parse(text)) == [], file.name


def test_lines_that_a_server_lacks_are_left_out():
    free = query_text("merge_requests.graphql", {**FIELDS, "MergeRequest": ["notes"]})
    assert "approvalsRequired" not in free
    assert "approvedBy" in free
    assert free.count("{") == free.count("}")

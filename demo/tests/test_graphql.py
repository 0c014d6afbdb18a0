"""GraphQL: real queries, cursors, refusals, what is cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, get_named_type, is_enum_type, is_input_object_type, is_object_type

from demo.graph import schema
from demo.tests.conftest import Gitlab

PATH = "toman/exchange/trading/engine"
VARIABLES = {"path": PATH, "n": 20, "iid": "3", "iids": ["3", "4"], "group": "toman", "env": "production"}


def test_the_schema_is_a_part_of_the_real_one(shared: Path) -> None:
    real = build_schema((shared / "graphql/schema-16.3-full.graphql").read_text(), assume_valid=True)
    ours = schema(premium=True, older=True)
    for name, type_ in ours.type_map.items():
        assert name in real.type_map, name
        if is_enum_type(type_):
            assert set(type_.values) <= set(real.type_map[name].values)  # type: ignore[attr-defined]
        for field_name, field in getattr(type_, "fields", {}).items():
            if name.startswith("__"):
                continue
            other = real.type_map[name].fields[field_name]  # type: ignore[attr-defined]
            assert str(field.type) == str(other.type), (name, field_name)
            if not is_input_object_type(type_):
                assert {key: str(one.type) for key, one in field.args.items()}.items() <= {
                    key: str(one.type) for key, one in other.args.items()
                }.items()
    assert not any(get_named_type(field.type) is None for field in ours.query_type.fields.values())  # type: ignore[union-attr]


def test_the_queries_of_the_guide_are_answered(gitlab: Gitlab, shared: Path) -> None:
    texts = {path.name: path.read_text() for path in sorted((shared / "graphql/queries").glob("*.graphql"))}
    assert len(texts) == 7
    for name, text in texts.items():
        answer = gitlab.graphql(
            text, **{key: value for key, value in VARIABLES.items() if f"${key}:" in text}
        )
        assert "errors" not in answer and "nodes" in str(answer["data"]), name


def test_cursors_read_everything_once(gitlab: Gitlab) -> None:
    query = """query($path: ID!, $after: String) { project(fullPath: $path) {
      pipelines(first: 30, after: $after) { pageInfo { hasNextPage endCursor } nodes { id iid } } } }"""
    found, after = [], None
    while True:
        page = gitlab.graphql(query, path=PATH, after=after)["data"]["project"]["pipelines"]
        found += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    rest = gitlab.everything("projects/toman%2Fexchange%2Ftrading%2Fengine/pipelines")
    assert found == [f"gid://gitlab/Ci::Pipeline/{row['id']}" for row in rest]


def test_a_dear_query_is_refused(gitlab: Gitlab) -> None:
    inner = "jobs(first: 100) { nodes { id name status needs(first: 100) { nodes { id name } } } }"
    many = " ".join(f"{name}: {inner}" for name in "abcdefg")
    query = (
        "query($path: ID!) { project(fullPath: $path) { pipelines(first: 100) { nodes { id "
        + many
        + "} } } }"
    )
    answer = gitlab.graphql(query, path=PATH)
    assert "data" not in answer
    assert "exceeds max complexity of 250" in answer["errors"][0]["message"]
    cheap = gitlab.graphql("{ queryComplexity { score limit } currentUser { username } }")["data"]
    assert cheap == {"queryComplexity": {"score": 5, "limit": 250}, "currentUser": {"username": "tem-reader"}}


def test_nested_lists_stop_at_a_hundred(gitlab: Gitlab) -> None:
    rest = gitlab.everything("projects/toman%2Fexchange%2Ftrading%2Fengine/pipelines?source=web")
    jobs_query = """query($path: ID!, $iid: ID!, $after: String) {
      project(fullPath: $path) { pipeline(iid: $iid) {
      jobs(first: 200, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } } }"""

    def jobs(after: str | None) -> Any:
        answer = gitlab.graphql(jobs_query, path=PATH, iid=str(rest[0]["iid"]), after=after)
        return answer["data"]["project"]["pipeline"]["jobs"]

    page = jobs(None)
    assert len(page["nodes"]) == 100 and page["pageInfo"]["hasNextPage"]
    others = jobs(page["pageInfo"]["endCursor"])
    assert len(others["nodes"]) >= 20 and not others["pageInfo"]["hasNextPage"]
    query = """{ group(fullPath: "toman") { projects(includeSubgroups: true, first: 3) {
      nodes { pid: id } pageInfo { hasNextPage } } } }"""
    page = gitlab.graphql(query)["data"]["group"]["projects"]
    assert len(page["nodes"]) == 3 and page["pageInfo"]["hasNextPage"]
    query = """query($path: ID!) { project(fullPath: $path) { pipelines(first: 500) {
      nodes { id } pageInfo { hasNextPage } } } }"""
    page = gitlab.graphql(query, path=PATH)["data"]["project"]["pipelines"]
    assert len(page["nodes"]) == 100 and page["pageInfo"]["hasNextPage"]


def test_what_may_not_be_seen(gitlab: Gitlab) -> None:
    assert gitlab.graphql('{ project(fullPath: "toman/nothing") { id } }') == {"data": {"project": None}}
    assert (
        gitlab.graphql('{ project(fullPath: "toman/exchange/custody/hsm-keys") { id } }')["data"]["project"]
        is None
    )
    answer = gitlab.ask(
        "/api/graphql", method="POST", body={"query": "{ currentUser { id } }"}, token="wrong"
    )
    assert (answer.status, answer.json) == (401, {"errors": [{"message": "Invalid token"}]})


def test_unauthorised_rows_are_null(start: Callable[..., Gitlab]) -> None:
    hiding = start("--faults", '{"null_nodes": 1.0}')
    query = f'{{ project(fullPath: "{PATH}") {{ issues(first: 5) {{ nodes {{ iid }} }} }} }}'
    nodes = hiding.graphql(query)["data"]["project"]["issues"]["nodes"]
    assert nodes[0] is None and all(nodes[1:])


def test_a_connection_may_fail_while_the_rest_is_answered(start: Callable[..., Gitlab]) -> None:
    failing = start("--faults", '{"partial_error": 1.0}')
    query = f'{{ project(fullPath: "{PATH}") {{ name issues(first: 5) {{ nodes {{ iid }} }} }} }}'
    answer = failing.graphql(query)
    assert answer["data"]["project"] == {"name": "engine", "issues": None}
    assert answer["errors"][0]["path"] == ["project", "issues"]


def _trees(rows: list[Any]) -> str:
    trees = " ".join(
        f'c{place}: tree(ref: "{row["id"]}") {{ lastCommit {{ sha signature {{ verificationStatus }} }} }}'
        for place, row in enumerate(rows)
    )
    return f'{{ project(fullPath: "{PATH}") {{ repository {{ {trees} }} }} }}'


def test_some_merges_are_passed_over_for_what_they_brought(gitlab: Gitlab) -> None:
    rows = [
        row for row in gitlab.everything("projects/toman%2Fexchange%2Ftrading%2Fengine/repository/commits")
        if len(row["parent_ids"]) > 1
    ]  # fmt: skip
    told = []
    for start in range(0, 48, 12):
        trees = gitlab.graphql(_trees(rows[start : start + 12]))["data"]["project"]["repository"]
        told += [tree["lastCommit"]["sha"] for tree in trees.values()]
    others = [(sha, row) for sha, row in zip(told, rows, strict=False) if sha != row["id"]]
    assert 3 < len(others) < 24 and all(sha in row["parent_ids"] for sha, row in others)


def test_signatures_of_many_commits_in_one_query(gitlab: Gitlab) -> None:
    rest = "projects/toman%2Fexchange%2Ftrading%2Fengine/repository/commits"
    rows = [row for row in gitlab.get(f"{rest}?per_page=60").json if len(row["parent_ids"]) == 1]
    refused = gitlab.graphql(_trees(rows[:16]))
    assert "exceeds max complexity of 250" in refused["errors"][0]["message"]
    rows = rows[:12]
    found = gitlab.graphql(_trees(rows))["data"]["project"]["repository"]
    assert [found[f"c{place}"]["lastCommit"]["sha"] for place in range(12)] == [row["id"] for row in rows]
    signed = {row["id"]: gitlab.get(f"{rest}/{row['id']}/signature") for row in rows}
    for place, row in enumerate(rows):
        told, rest_told = found[f"c{place}"]["lastCommit"]["signature"], signed[row["id"]]
        assert (told is None) == (rest_told.status == 404)
        if told:
            assert told["verificationStatus"].lower() == rest_told.json["verification_status"]
    query = """query($path: ID!) { project(fullPath: $path) {
      repository { tree(ref: "nowhere") { lastCommit { sha } } } } }"""
    answer = gitlab.graphql(query, path=PATH)["data"]["project"]["repository"]
    assert answer["tree"] == {"lastCommit": None}


PROBE = """query($n: Int!, $since: Time, $after: String) { group(fullPath: "toman") {
  projects(includeSubgroups: true, first: $n, after: $after) { pageInfo { hasNextPage endCursor } nodes {
    id fullPath lastActivityAt archived repository { rootRef tree { lastCommit { sha } } }
    mergeRequests(updatedAfter: $since, first: 1) { nodes { id } }
    issues(updatedAfter: $since, first: 1) { nodes { id } }
    pipelines(updatedAfter: $since, first: 1) { nodes { id } }
    children: pipelines(updatedAfter: $since, source: "parent_pipeline", first: 1) { nodes { id } }
    releases(first: 1, sort: CREATED_DESC) { nodes { tagName createdAt } } } } } }"""


def test_what_has_changed_below_a_group(gitlab: Gitlab) -> None:
    since = "2026-06-15T06:00:00Z"
    page = gitlab.graphql(PROBE, n=100, since=since)["data"]["group"]["projects"]
    rest = {
        row["path_with_namespace"]: row
        for row in gitlab.everything("groups/toman/projects?include_subgroups=true&with_shared=false")
    }
    assert not page["pageInfo"]["hasNextPage"] and {one["fullPath"] for one in page["nodes"]} == set(rest)
    moved = 0
    for node in page["nodes"]:
        base = f"projects/{rest[node['fullPath']]['id']}"
        assert node["lastActivityAt"] == rest[node["fullPath"]]["last_activity_at"][:19] + "Z"
        for name, path in (("mergeRequests", "merge_requests"), ("pipelines", "pipelines")):
            if node[name] is None:
                assert gitlab.get(f"{base}/{path}").status == 403
                continue
            rows = gitlab.get(f"{base}/{path}?updated_after={since}&per_page=1").json
            assert bool(node[name]["nodes"]) == bool(rows)
            moved += bool(rows)
        released = gitlab.get(f"{base}/releases?order_by=created_at&per_page=1").json
        assert [one["tagName"] for one in node["releases"]["nodes"]] == [row["tag_name"] for row in released]
    assert moved > 4 and any(node["children"] and node["children"]["nodes"] for node in page["nodes"])


@pytest.mark.parametrize("kind", ["mergeRequests", "issues"])
def test_a_whole_group_is_read_in_order_of_change(gitlab: Gitlab, kind: str) -> None:
    query = (
        'query($since: Time, $after: String) { group(fullPath: "toman") { ' + kind + "(updatedAfter: $since,"
        " includeSubgroups: true, sort: UPDATED_ASC, first: 40, after: $after) {"
        " pageInfo { hasNextPage endCursor } nodes { id iid projectId updatedAt } } } }"
    )
    since, after, found = "2026-06-10T00:00:00Z", None, []
    while True:
        page = gitlab.graphql(query, since=since, after=after)["data"]["group"][kind]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    path = {"mergeRequests": "merge_requests", "issues": "issues"}[kind]
    rows = gitlab.everything(
        f"groups/toman/{path}?scope=all&updated_after={since}&order_by=updated_at&sort=asc"
    )
    assert len(rows) > 20 and [(int(one["id"].rpartition("/")[2]), one["projectId"]) for one in found] == [
        (row["id"], row["project_id"]) for row in rows
    ]


def test_changed_pipelines_of_many_projects_in_one_query(gitlab: Gitlab) -> None:
    """What a night needs of CI: the score does not multiply with the sizes of nested pages."""
    query = """query($ids: [ID!], $since: Time) { queryComplexity { score }
      projects(ids: $ids, first: 10) { nodes { id pipelines(first: 20, updatedAfter: $since) {
      pageInfo { hasNextPage endCursor } nodes { id iid startedAt finishedAt duration commit { sha }
      jobs(first: 100) { pageInfo { hasNextPage endCursor } nodes { id name kind status retried allowFailure
      createdAt startedAt finishedAt schedulingType stage { name } needs(first: 50) { nodes { name } } } }
      } } } } }"""
    rows = gitlab.everything("groups/toman/projects?include_subgroups=true&with_shared=false")
    ids = [f"gid://gitlab/Project/{row['id']}" for row in rows]
    answer = gitlab.graphql(query, ids=ids[-10:], since="2026-06-14T00:00:00Z")["data"]
    jobs = [
        job for one in answer["projects"]["nodes"] for made in (one["pipelines"] or {"nodes": []})["nodes"]
        for job in made["jobs"]["nodes"]
    ]  # fmt: skip
    assert answer["queryComplexity"]["score"] <= 120 and len(jobs) > 300


def test_pipelines_bring_their_commit_and_its_signature(gitlab: Gitlab) -> None:
    query = """query($path: ID!) { project(fullPath: $path) { pipelines(first: 50) {
      nodes { sha commit { sha signature { verificationStatus } } } } } }"""
    nodes = gitlab.graphql(query, path=PATH)["data"]["project"]["pipelines"]["nodes"]
    assert len(nodes) == 50 and all(node["commit"]["sha"] == node["sha"] for node in nodes)
    assert {bool(node["commit"]["signature"]) for node in nodes} == {True, False}


def test_many_projects_by_name_or_id_in_one_query(gitlab: Gitlab) -> None:
    rows = gitlab.everything("groups/toman/projects?include_subgroups=true&with_shared=false")
    named = " ".join(
        f'p{place}: project(fullPath: "{row["path_with_namespace"]}") {{ id issues(first: 100) {{'
        " nodes { id iid } pageInfo { hasNextPage endCursor } } }"
        for place, row in enumerate(rows[:14])
    )
    answer = gitlab.graphql(f"{{ {named} }}")["data"]
    assert [one["id"] for one in answer.values()] == [
        f"gid://gitlab/Project/{row['id']}" for row in rows[:14]
    ]
    ids = [f"gid://gitlab/Project/{row['id']}" for row in rows[:20]]
    query = "query($ids: [ID!]) { projects(ids: $ids, first: 20) { nodes { id } } }"
    found = gitlab.graphql(query, ids=ids)["data"]["projects"]["nodes"]
    assert sorted(one["id"] for one in found) == sorted(ids)


def test_every_field_of_the_schema_is_answered_by_a_row() -> None:
    for name, type_ in schema(premium=True).type_map.items():
        if is_object_type(type_) and not name.startswith("__"):
            assert all("get" in field.extensions for field in type_.fields.values()), name


def test_rest_and_graphql_tell_the_same(gitlab: Gitlab) -> None:
    query = """query($path: ID!, $iid: String!) { project(fullPath: $path) { mergeRequest(iid: $iid) {
      id state createdAt mergedAt mergeCommitSha approvalsRequired approvedBy { nodes { id } }
      notes { nodes { id system createdAt systemNoteMetadata { action } author { bot } } }
      commits { nodes { sha signature { verificationStatus } } } } } }"""
    rows = gitlab.everything("projects/toman%2Fexchange%2Ftrading%2Fengine/merge_requests?state=merged")
    for row in rows[:12]:
        node = gitlab.graphql(query, path=PATH, iid=str(row["iid"]))["data"]["project"]["mergeRequest"]
        base = f"projects/{row['project_id']}/merge_requests/{row['iid']}"
        assert node["id"] == f"gid://gitlab/MergeRequest/{row['id']}" and node["state"] == row["state"]
        assert node["createdAt"] == row["created_at"][:19] + "Z"
        assert node["mergeCommitSha"] == row["merge_commit_sha"]
        assert node["approvalsRequired"] == gitlab.get(f"{base}/approvals").json["approvals_required"]
        assert [one["sha"] for one in node["commits"]["nodes"]] == [
            one["id"] for one in gitlab.everything(f"{base}/commits")
        ]
        assert len(node["notes"]["nodes"]) == len(gitlab.everything(f"{base}/notes"))


@pytest.mark.parametrize("query", ["{ nonsense }", "{ project { id } }", "{", ""])
def test_wrong_queries_are_errors_with_status_200(gitlab: Gitlab, query: str) -> None:
    answer = gitlab.ask("/api/graphql", method="POST", body={"query": query})
    assert answer.status == 200 and answer.json["errors"] and "data" not in answer.json


@pytest.mark.parametrize(
    "body", [7, [], {}, {"query": 7}, {"query": "{ currentUser { id } }", "variables": []}]
)
def test_a_senseless_body_is_an_error_with_status_200(gitlab: Gitlab, body: Any) -> None:
    answer = gitlab.ask("/api/graphql", method="POST", body=body)
    assert answer.status == 200 and answer.json["errors"] and "data" not in answer.json


def test_introspection(gitlab: Gitlab) -> None:
    fields = gitlab.graphql('{ __type(name: "CiJob") { fields { name } } }')["data"]["__type"]["fields"]
    assert {"retried", "needs", "schedulingType"} <= {field["name"] for field in fields}

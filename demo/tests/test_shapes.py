"""Our answers beside GitLab's own schemas and the key sets of recorded answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from demo.tests.conftest import ENGINE, Gitlab

SCHEMAS = {
    "merge_request": "merge_requests?state=merged", "job": "jobs?scope[]=success",
    "deployment": "deployments",
    "environment": "environments", "tag": "repository/tags", "branch": "repository/branches",
    "issue": "issues",
    "commit/basic": "repository/commits",
}  # fmt: skip
NEVER_NULL_BUT_IS = {
    "closed_by",
    "merged_by",
    "assignee",
    "sha",
    "source_project_id",
}  # stricter than real answers
KEYS = {
    "GET /projects/:id/merge_requests": "merge_requests", "GET /projects/:id/issues": "issues",
    "GET /projects/:id/repository/commits": "repository/commits",
    "GET /projects/:id/repository/tags": "repository/tags",
    "GET /projects/:id/releases": "releases", "GET /projects/:id/repository/branches": "repository/branches",
}  # fmt: skip
TAGGING = "projects/toman%2Fcore%2Fprice-feed"


def _loosened(value: Any) -> Any:
    """The stored schemas are older than answers of today: further keys are allowed, "date" is no JSON type,
    and
    null may fit two branches.
    """
    if isinstance(value, dict):
        found = {
            "anyOf" if key == "oneOf" else key: _loosened(part)
            for key, part in value.items()
            if key != "additionalProperties"
        }
        return {key: part for key, part in found.items() if not (key == "type" and part == "date")}
    return [_loosened(part) for part in value] if isinstance(value, list) else value


def _validator(shared: Path, name: str) -> jsonschema.Draft202012Validator:
    root = shared / "json-schemas"

    def fetch(uri: str) -> referencing.Resource[Any]:
        path = Path(uri.removeprefix("file://"))
        return referencing.Resource.from_contents(
            _loosened(json.loads(path.read_text())), default_specification=referencing.jsonschema.DRAFT202012
        )

    registry: Any = referencing.Registry(retrieve=fetch)  # type: ignore[call-arg]
    return jsonschema.Draft202012Validator(
        {"$ref": f"file://{root}/public_api/v4/{name}.json"}, registry=registry
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_answers_pass_the_schemas(gitlab: Gitlab, shared: Path, name: str) -> None:
    base = TAGGING if name == "tag" else ENGINE
    rows = gitlab.get(f"{base}/{SCHEMAS[name]}").json
    assert rows
    validator = _validator(shared, name)
    for row in rows:
        known = {key: value for key, value in row.items() if not (key in NEVER_NULL_BUT_IS and value is None)}
        missing = dict.fromkeys(NEVER_NULL_BUT_IS & set(row) - set(known))
        problems = [error for error in validator.iter_errors(known) if not _about(error, missing)]
        assert not problems, problems[0].message


def _about(error: jsonschema.ValidationError, names: dict[str, None]) -> bool:
    return error.validator == "required" and any(repr(name) in error.message for name in names)


def test_notes_pass_their_schema(gitlab: Gitlab, shared: Path) -> None:
    validator = _validator(shared, "notes")
    for row in gitlab.get(f"{ENGINE}/merge_requests?state=merged").json[:10]:
        validator.validate(gitlab.get(f"{ENGINE}/merge_requests/{row['iid']}/notes").json)


@pytest.mark.parametrize("endpoint", KEYS)
def test_no_key_that_gitlab_never_sends(gitlab: Gitlab, shared: Path, endpoint: str) -> None:
    known: set[str] = set()
    for path in (shared / "recorded").glob("ogr__GET__*.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record["endpoint"] == endpoint and isinstance(record["body"], list):
                known |= {key for row in record["body"] for key in row}
    newer = {"imported", "imported_from", "merge_after", "created_at", "milestones", "labels"}
    ours = {key for row in gitlab.get(f"{TAGGING}/{KEYS[endpoint]}").json for key in row}
    assert ours and ours <= known | newer, ours - known - newer

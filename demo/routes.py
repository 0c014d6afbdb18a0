"""The table of routes: what this GitLab answers to GET."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from demo import REVISION, VERSION
from demo import routes_ci as ci
from demo import routes_code as code
from demo import routes_items as items
from demo.asking import Asked, ordered
from demo.entities import Group, Project
from demo.paging import Listing, Refusal, not_found
from demo.times import DAY, iso

BUILD = {"version": VERSION, "revision": REVISION}
PROJECT_ORDERS = {
    "id": "id", "name": "name", "path": "name", "created_at": "created", "last_activity_at": "activity",
    "updated_at": "activity",
}  # fmt: skip


def version(asked: Asked) -> Any:
    return BUILD


def metadata(asked: Asked) -> Any:
    return {**BUILD, "enterprise": True, "kas": {"enabled": False, "externalUrl": None, "version": None}}


def me(asked: Asked) -> Any:
    return {**asked.show.user_detail(asked.world.people.reader), "is_admin": False, "state": "active"}


def own_token(asked: Asked) -> Any:
    expires = (iso(asked.world.now + 200 * DAY) or "")[:10]
    return {
        "id": 4711, "name": "tem", "revoked": False, "created_at": iso(asked.world.start),
        "scopes": ["read_api"],
        "user_id": asked.world.people.reader.id, "last_used_at": iso(asked.world.now), "active": True,
        "expires_at": expires,
    }  # fmt: skip


def user(asked: Asked) -> Any:
    if (found := asked.world.people.everyone.get(int(asked.parts["id"]))) is None:
        raise not_found("User")
    return asked.show.user_detail(found)


def _group(asked: Asked) -> Group:
    asked_for = asked.parts["group"]
    for group in asked.world.groups.values():
        if group.kind == "group" and asked_for in (group.full_path, str(group.id)):
            asked.parts["group"] = group.full_path
            return group
    raise not_found("Group")


def groups(asked: Asked) -> Listing:
    rows = [group for group in asked.world.groups.values() if group.kind == "group"]
    return Listing(sorted(rows, key=lambda group: group.name), asked.show.group)


def group(asked: Asked) -> Any:
    return asked.show.group(_group(asked))


def _projects(asked: Asked, rows: list[Project]) -> Listing:
    rows = [row for row in rows if not row.hidden]
    if archived := asked.text("archived"):
        rows = [row for row in rows if row.archived == (archived == "true")]
    for name, late in (("last_activity_after", True), ("last_activity_before", False)):
        if (moment := asked.moment(name)) is not None:
            rows = [row for row in rows if (row.activity >= moment if late else row.activity <= moment)]
    rows = ordered(asked, rows, PROJECT_ORDERS, default="created_at")
    return Listing(rows, asked.show.project, keyset=asked.text("order_by") == "id", kind="Project")


def projects(asked: Asked) -> Listing:
    return _projects(asked, list(asked.world.projects.values()))


def group_projects(asked: Asked) -> Listing:
    path = _group(asked).full_path
    deep = asked.flag("include_subgroups")

    def within(place: str) -> bool:
        return place == path or (deep and place.startswith(path + "/"))

    shared = asked.text("with_shared") not in ("false", "0")  # by default a group lists its guests too
    rows = [
        one for one in asked.world.projects.values()
        if within(one.group.full_path) or (shared and any(within(place) for place in one.shared_with))
    ]  # fmt: skip
    listing = _projects(asked, rows)
    listing.keyset = False
    return listing


def group_merge_requests(asked: Asked) -> Listing:
    _group(asked)
    return items.group_merge_requests(asked)


def group_issues(asked: Asked) -> Listing:
    _group(asked)
    return items.group_issues(asked)


def project(asked: Asked) -> Any:
    return asked.show.project(asked.project)


Handler = Callable[[Asked], Any]
MR, PIPELINE, REPO = (
    "projects/:project/merge_requests/:iid",
    "projects/:project/pipelines/:id",
    "projects/:project/repository",
)
ISSUE = "projects/:project/issues/:iid"
TABLE: dict[str, Handler] = {
    "version": version,
    "metadata": metadata,
    "user": me,
    "users/:id": user,
    "personal_access_tokens/self": own_token,
    "groups": groups,
    "groups/:group": group,
    "groups/:group/projects": group_projects,
    "groups/:group/merge_requests": group_merge_requests,
    "groups/:group/issues": group_issues,
    "merge_requests": items.all_merge_requests,
    "projects": projects,
    "projects/:project": project,
    "projects/:project/merge_requests": items.merge_requests,
    MR: items.merge_request,
    f"{MR}/approvals": items.approvals,
    f"{MR}/approval_state": items.approval_state,
    f"{MR}/commits": items.commits,
    f"{MR}/versions": items.versions,
    f"{MR}/versions/:version": items.version,
    f"{MR}/notes": items.notes,
    f"{MR}/discussions": items.discussions,
    f"{MR}/closes_issues": items.closes_issues,
    f"{MR}/pipelines": items.merge_request_pipelines,
    f"{MR}/resource_state_events": items.merge_request_states,
    f"{MR}/resource_label_events": items.merge_request_labels,
    "projects/:project/pipelines": ci.pipelines,
    PIPELINE: ci.pipeline,
    f"{PIPELINE}/jobs": ci.pipeline_jobs,
    f"{PIPELINE}/bridges": ci.bridges,
    "projects/:project/jobs": ci.jobs,
    "projects/:project/jobs/:id": ci.job,
    "projects/:project/deployments": ci.deployments,
    "projects/:project/deployments/:id": ci.deployment,
    "projects/:project/deployments/:id/merge_requests": ci.deployed_merge_requests,
    "projects/:project/environments": ci.environments,
    "projects/:project/releases": code.releases,
    f"{REPO}/tags": code.tags,
    f"{REPO}/tags/:name": code.tag,
    f"{REPO}/branches": code.branches,
    f"{REPO}/branches/:name": code.branch,
    f"{REPO}/commits": code.commits,
    f"{REPO}/commits/:sha": code.commit,
    f"{REPO}/commits/:sha/signature": code.signature,
    f"{REPO}/commits/:sha/merge_requests": code.commit_merge_requests,
    f"{REPO}/merge_base": code.merge_base,
    f"{REPO}/compare": code.compare,
    "projects/:project/protected_branches": code.protected_branches,
    "projects/:project/issues": items.issues,
    ISSUE: items.issue,
    f"{ISSUE}/notes": items.issue_notes,
    f"{ISSUE}/closed_by": items.issue_closed_by,
    f"{ISSUE}/resource_state_events": items.issue_states,
    f"{ISSUE}/resource_label_events": items.issue_labels,
    "projects/:project/events": code.events,
}
NUMBERS = {"iid", "id", "version"}


def _pattern(template: str) -> re.Pattern[str]:
    def part(match: re.Match[str]) -> str:
        name = match[1]
        return f"(?P<{name}>{r'[0-9]{1,18}' if name in NUMBERS else '[^/]+'})"

    return re.compile(re.sub(r":(\w+)", part, template) + r"/?\Z")


_ROUTES = [(template, _pattern(template), handler) for template, handler in TABLE.items()]
_BY_SHAPE: dict[tuple[int, str], list[tuple[str, re.Pattern[str], Handler]]] = {}
for _route in _ROUTES:
    _pieces = _route[0].split("/")
    _BY_SHAPE.setdefault((len(_pieces), _pieces[0]), []).append(_route)


def find(path: str) -> tuple[str, Handler, dict[str, str]]:
    """The route of a path below /api/v4/, still encoded. Raises Refusal."""
    pieces = path.strip("/").split("/")
    for template, pattern, handler in _BY_SHAPE.get((len(pieces), pieces[0]), ()):
        if match := pattern.match(path.strip("/")):
            return template, handler, {name: unquote(text) for name, text in match.groupdict().items()}
    raise Refusal(404, {"error": "404 Not Found"})


def place(asked: Asked, *, address: str, closed: list[int]) -> None:
    """Find the project that the path names. Raises Refusal where it moved, hides or is closed."""
    named = asked.parts.get("project")
    if named is None:
        return
    world = asked.world
    found = world.projects.get(int(named)) if named.isdigit() else world.by_path.get(named)
    if found is None or found.hidden:
        moved = next((one for one in world.projects.values() if one.old_path and one.old_path == named), None)
        if moved is None:
            raise not_found("Project")
        location = re.sub(r"/projects/[^/?]+", f"/projects/{moved.id}", address, count=1)
        raise Refusal(301, {"message": "Moved Permanently"}, [(b"Location", location.encode())])
    if found.id in closed:
        raise Refusal(403, {"message": "403 Forbidden"})
    asked.project = found

"""Merge requests and issues by REST."""

from __future__ import annotations

from typing import Any

from demo.asking import Asked, between, by_update, ordered, same
from demo.entities import Issue, MergeRequest, Note
from demo.paging import Listing, Refusal, not_found

MR_ORDERS = {
    "created_at": "created",
    "updated_at": "updated",
    "merged_at": "merged",
    "title": "title",
    "id": "id",
}
ISSUE_ORDERS = {"created_at": "created", "updated_at": "updated", "title": "title", "id": "id"}


def _labelled(asked: Asked, rows: list[Any]) -> list[Any]:
    wanted = set(asked.values("labels"))
    return [row for row in rows if wanted <= set(row.labels)] if wanted else rows


def _numbered(asked: Asked, rows: list[Any]) -> list[Any]:
    wanted = {int(text) for text in asked.values("iids") if text.isdigit()}
    return [row for row in rows if row.iid in wanted] if wanted else rows


def _merge_requests(asked: Asked, rows: list[MergeRequest]) -> Listing:
    state = asked.choice("state", ("all", "opened", "closed", "merged", "locked"), "all")
    asked.choice("scope", ("all", "created_by_me", "assigned_to_me", "reviews_for_me"), "all")
    rows = rows if state == "all" else [row for row in rows if row.state == state]
    rows = between(asked, rows, "created", lambda row: row.created)
    rows = between(asked, rows, "updated", lambda row: row.updated)
    rows = between(asked, rows, "merged", lambda row: row.merged)
    rows = between(asked, rows, "deployed", lambda row: row.deployed)
    rows = same(asked, rows, target_branch="target_branch", source_branch="source_branch")
    if author := asked.text("author_id") or asked.text("author_username"):
        rows = [row for row in rows if row.author and author in (str(row.author.id), row.author.username)]
    rows = _numbered(asked, _labelled(asked, rows))
    return Listing(
        ordered(asked, rows, MR_ORDERS, default="created_at", already="updated"), asked.show.merge_request
    )


def merge_requests(asked: Asked) -> Listing:
    if not asked.project.merge_requests_on:
        raise Refusal(403, {"message": "403 Forbidden"})
    made, key = asked.project.merge_requests, ("merge_requests", str(asked.project.id))
    return _merge_requests(asked, by_update(asked, key, lambda: made))


def group_merge_requests(asked: Asked) -> Listing:
    return _merge_requests(asked, _swept(asked, "merge_requests"))


def all_merge_requests(asked: Asked) -> Listing:
    """The instance list: without scope it is about the asker, who has none."""
    if asked.text("scope") != "all":
        return Listing([], asked.show.merge_request)
    projects = asked.world.projects.values()
    return _merge_requests(
        asked,
        by_update(
            asked, ("merge_requests",), lambda: [row for one in projects for row in one.merge_requests]
        ),
    )


def _swept(asked: Asked, kind: str) -> list[Any]:
    """The rows of a whole tree."""
    key = (kind, asked.parts["group"], asked.text("non_archived"))
    return by_update(asked, key, lambda: [row for one in _below(asked) for row in getattr(one, kind)])


def _below(asked: Asked) -> list[Any]:
    """Projects of the group's tree that may be read; archived ones only if asked for."""
    prefix, archived = asked.parts["group"] + "/", asked.text("non_archived") in ("false", "0")
    return [
        one for path, one in asked.world.by_path.items()
        if path.startswith(prefix) and (archived or not one.archived) and not one.hidden
    ]  # fmt: skip


def one_merge_request(asked: Asked) -> MergeRequest:
    """The addressed one. Raises Refusal where there is none."""
    if not asked.project.merge_requests_on:
        raise Refusal(403, {"message": "403 Forbidden"})
    found = asked.project.by_iid.get(("merge_request", int(asked.parts["iid"])))
    if found is None:
        raise not_found("Merge Request") if asked.project.merge_requests else not_found("")
    return found


def merge_request(asked: Asked) -> Any:
    return asked.show.merge_request_detail(one_merge_request(asked))


def approvals(asked: Asked) -> Any:
    return asked.show.approvals(one_merge_request(asked))


def approval_state(asked: Asked) -> Any:
    if not asked.show.premium:
        raise not_found("")
    return asked.show.approval_state(one_merge_request(asked))


def commits(asked: Asked) -> Listing:
    made = one_merge_request(asked)
    return Listing(made.commits[::-1], asked.show.commit_of_merge_request)


def versions(asked: Asked) -> Listing:
    made = one_merge_request(asked)
    return Listing(made.versions[::-1], lambda version: asked.show.version(made, version))


def version(asked: Asked) -> Any:
    made = one_merge_request(asked)
    wanted = int(asked.parts["version"])
    for one in made.versions:
        if one.id == wanted:
            listed = [asked.show.commit_of_merge_request(commit) for commit in reversed(one.commits)]
            return {**asked.show.version(made, one), "commits": listed, "diffs": []}
    raise not_found("Merge Request Diff")


def _notes(asked: Asked, owner: MergeRequest | Issue) -> Listing:
    orders = {"created_at": "at", "updated_at": "at"}
    rows = ordered(asked, owner.notes, orders, default="created_at")
    return Listing(rows, lambda note: asked.show.note(owner, note))


def notes(asked: Asked) -> Listing:
    return _notes(asked, one_merge_request(asked))


def discussions(asked: Asked) -> Listing:
    made = one_merge_request(asked)
    threads: dict[str, list[Note]] = {}
    for note in made.notes:
        threads.setdefault(note.thread, []).append(note)

    def show(thread: tuple[str, list[Note]]) -> dict[str, Any]:
        listed = [asked.show.note(made, note) for note in thread[1]]
        return {"id": thread[0], "individual_note": thread[1][0].type is None, "notes": listed}

    return Listing(list(threads.items()), show)


def closes_issues(asked: Asked) -> Listing:
    made = one_merge_request(asked)
    rows = [issue for issue in made.closes if not issue.project.hidden]
    return Listing(rows, asked.show.issue)


def merge_request_pipelines(asked: Asked) -> Listing:
    return Listing(one_merge_request(asked).pipelines[::-1], asked.show.pipeline)


def merge_request_states(asked: Asked) -> Listing:
    made = one_merge_request(asked)
    return Listing(made.states, lambda event: asked.show.state_event(made, event))


def merge_request_labels(asked: Asked) -> Listing:
    made = one_merge_request(asked)
    return Listing(made.label_events, lambda event: asked.show.label_event(made, event))


def _issues(asked: Asked, rows: list[Issue]) -> Listing:
    state = asked.choice("state", ("all", "opened", "closed"), "all")
    asked.choice("scope", ("all", "created_by_me", "assigned_to_me"), "all")
    rows = rows if state == "all" else [row for row in rows if row.state == state]
    rows = between(asked, rows, "created", lambda row: row.created)
    rows = between(asked, rows, "updated", lambda row: row.updated)
    rows = same(asked, rows, issue_type="type")
    rows = _numbered(asked, _labelled(asked, rows))
    return Listing(
        ordered(asked, rows, ISSUE_ORDERS, default="created_at", already="updated"), asked.show.issue
    )


def issues(asked: Asked) -> Listing:
    rows = asked.project.issues if asked.project.issues_on else []
    return _issues(asked, by_update(asked, ("issues", str(asked.project.id)), lambda: rows))


def group_issues(asked: Asked) -> Listing:
    return _issues(asked, _swept(asked, "issues"))


def _issue(asked: Asked) -> Issue:
    found = asked.project.by_iid.get(("issue", int(asked.parts["iid"])))
    if found is None:
        raise not_found("Issue")
    return found


def issue(asked: Asked) -> Any:
    return asked.show.issue(_issue(asked))


def issue_notes(asked: Asked) -> Listing:
    return _notes(asked, _issue(asked))


def issue_states(asked: Asked) -> Listing:
    owner = _issue(asked)
    return Listing(owner.states, lambda event: asked.show.state_event(owner, event))


def issue_labels(asked: Asked) -> Listing:
    owner = _issue(asked)
    return Listing(owner.label_events, lambda event: asked.show.label_event(owner, event))


def issue_closed_by(asked: Asked) -> Listing:
    owner = _issue(asked)
    projects = asked.world.projects.values()
    rows = [made for one in projects for made in one.merge_requests if owner in made.closes]
    return Listing(rows, asked.show.merge_request)

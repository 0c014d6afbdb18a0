"""Commits, branches, tags, releases and activity by REST."""

from __future__ import annotations

import datetime as dt
from typing import Any

from demo.asking import Asked
from demo.entities import Commit
from demo.paging import Listing, Refusal, bad, not_found
from demo.repository import merge_base as youngest_common
from demo.repository import resolve, walk
from demo.times import DAY, parse

TARGETS = {"issue": "Issue", "merge_request": "MergeRequest", "milestone": "Milestone", "note": "Note"}


def commits(asked: Asked) -> Listing:
    """Never counted. Bounds are on the committer's date."""
    project = asked.project
    _needs_repository(asked)
    start = resolve(project, asked.text("ref_name"))
    if asked.flag("all"):
        rows = sorted(project.commits.values(), key=lambda commit: -commit.committed)
    else:
        rows = walk(project, start, first_parent=asked.flag("first_parent")) if start else []
    since, until = asked.moment("since"), asked.moment("until")
    if since is not None:
        rows = [row for row in rows if row.committed >= since // 1000 * 1000]
    if until is not None:
        rows = [row for row in rows if row.committed <= until]
    show = asked.show.commit_with_stats if asked.flag("with_stats") else asked.show.commit
    return Listing(rows, show, counted=False)


def _needs_repository(asked: Asked) -> None:
    if asked.project.empty:
        raise not_found("Repository")


def _commit(asked: Asked) -> Commit:
    _needs_repository(asked)
    sha = resolve(asked.project, asked.parts["sha"])
    if sha is None:
        raise not_found("Commit")
    return asked.project.commits[sha]


def commit(asked: Asked) -> Any:
    found = _commit(asked)
    last = next((one for one in reversed(asked.project.pipelines) if one.sha == found.sha), None)
    return {
        **asked.show.commit_with_stats(found), "status": last.status if last else None,
        "project_id": asked.project.id, "last_pipeline": asked.show.pipeline(last) if last else None,
    }  # fmt: skip


def signature(asked: Asked) -> Any:
    found = _commit(asked)
    if found.signature is None:
        raise not_found("Signature")
    return asked.show.signature(found)


def commit_merge_requests(asked: Asked) -> Listing:
    sha = _commit(asked).sha
    rows = [
        made for made in asked.project.merge_requests
        if sha in (made.merge_commit_sha, made.squash_commit_sha)
        or any(one.sha == sha for one in made.commits)
    ]  # fmt: skip
    return Listing(rows, asked.show.merge_request)


def merge_base(asked: Asked) -> Any:
    _needs_repository(asked)
    wanted = asked.params.get("refs[]", [])
    if len(wanted) < 2:
        raise bad("Provide at least 2 refs")
    shas = [resolve(asked.project, ref) for ref in wanted]
    if None in shas:
        raise Refusal(400, {"message": f"400 Bad request - Could not find ref: {wanted[shas.index(None)]}"})
    if (found := youngest_common(asked.project, [sha for sha in shas if sha])) is None:
        raise not_found("Merge Base")
    return asked.show.commit(found)


def compare(asked: Asked) -> Any:
    """What `to` has that `from` has not, oldest first. We keep no files, so there are no diffs."""
    _needs_repository(asked)
    if not (asked.text("from") and asked.text("to")):
        raise bad("from is missing, to is missing")
    start, end = resolve(asked.project, asked.text("from")), resolve(asked.project, asked.text("to"))
    if start is None or end is None:
        raise not_found("Ref")
    known = {commit.sha for commit in walk(asked.project, start)}
    listed = [asked.show.commit(one) for one in walk(asked.project, end)[::-1] if one.sha not in known]
    return {
        "commit": listed[-1] if listed else None, "commits": listed, "diffs": [], "compare_timeout": False,
        "compare_same_ref": start == end,
        "web_url": f"{asked.show.web(asked.project)}/-/compare/{start}...{end}",
    }  # fmt: skip


def branches(asked: Asked) -> Listing:
    names = sorted(name for name in asked.project.branches if asked.text("search") in name)
    return Listing(names, lambda name: asked.show.branch(asked.project, name))


def branch(asked: Asked) -> Any:
    if asked.parts["name"] not in asked.project.branches:
        raise not_found("Branch")
    return asked.show.branch(asked.project, asked.parts["name"])


def protected_branches(asked: Asked) -> Listing:
    maintainers = [
        {
            "id": 1,
            "access_level": 40,
            "access_level_description": "Maintainers",
            "user_id": None,
            "group_id": None,
        }
    ]
    forced = asked.project.habits.force > 0.02

    def show(name: str) -> dict[str, Any]:
        return {
            "id": asked.project.id + len(name), "name": name, "push_access_levels": maintainers,
            "merge_access_levels": maintainers, "allow_force_push": forced, "unprotect_access_levels": [],
            "code_owner_approval_required": False, "inherited": False,
        }  # fmt: skip

    return Listing(["main", "release/*"] if asked.project.branches else [], show)


def tags(asked: Asked) -> Listing:
    key = {"name": lambda tag: tag.name, "updated": lambda tag: tag.at, "version": lambda tag: tag.name}
    order = asked.choice("order_by", key, "updated")
    down = asked.choice("sort", ("asc", "desc"), "desc") == "desc"
    rows = sorted(asked.project.tags.values(), key=key[order], reverse=down)
    return Listing(rows, lambda tag: asked.show.tag(asked.project, tag))


def tag(asked: Asked) -> Any:
    if (found := asked.project.tags.get(asked.parts["name"])) is None:
        raise not_found("Tag")
    return asked.show.tag(asked.project, found)


def releases(asked: Asked) -> Listing:
    order = asked.choice("order_by", ("released_at", "created_at"), "released_at")
    down = asked.choice("sort", ("asc", "desc"), "desc") == "desc"
    name = {"released_at": "released", "created_at": "created"}[order]
    rows = sorted(
        asked.project.releases.values(), key=lambda one: (getattr(one, name), one.tag.name), reverse=down
    )
    return Listing(rows, lambda release: asked.show.release(asked.project, release))


def events(asked: Asked) -> Listing:
    """after and before are dates: whole days after the one, before the other."""
    rows = asked.project.events
    if action := asked.text("action"):
        rows = [row for row in rows if row.action == action]
    if target := asked.text("target_type"):
        rows = [row for row in rows if row.target_type == TARGETS.get(target)]
    after, before = _day(asked, "after"), _day(asked, "before")
    rows = [
        row
        for row in rows
        if (after is None or row.at >= after + DAY) and (before is None or row.at < before)
    ]
    if asked.choice("sort", ("asc", "desc"), "desc") == "desc":
        rows = rows[::-1]
    return Listing(rows, lambda event: asked.show.event(asked.project, event))


def _day(asked: Asked, name: str) -> int | None:
    if not (text := asked.text(name)):
        return None
    try:
        return parse(dt.date.fromisoformat(text[:10]).isoformat())
    except ValueError as error:
        raise bad(f"{name} is invalid") from error

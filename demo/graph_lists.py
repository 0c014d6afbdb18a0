"""The lists that GraphQL gives of the main things, how they are narrowed and ordered, and single ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demo.connections import Connection, connect, connect_sorted, connect_youngest
from demo.entities import Environment, Group, Pipeline, Project
from demo.fielding import FIELDS
from demo.graph_fields import visible
from demo.job_times import seen
from demo.times import parse

SORTS = {"CREATED": "created", "UPDATED": "updated", "MERGED_AT": "merged", "RELEASED_AT": "released"}


def _between(rows: list[Any], args: dict[str, Any], **names: str) -> list[Any]:
    for argument, attribute in names.items():
        for end, late in (("After", True), ("Before", False)):
            if text := args.get(argument + end):
                bound = parse(text)
                some = [(row, at) for row in rows if (at := getattr(row, attribute)) is not None]
                rows = [row for row, at in some if (at >= bound if late else at <= bound)]
    return rows


def _sorted(rows: list[Any], args: dict[str, Any], context: Any) -> Connection:
    name, _, way = (args.get("sort") or "CREATED_DESC").rpartition("_")
    return connect_sorted(rows, args, name=SORTS[name], down=way == "DESC", context=context)


def _merge_requests(project: Project, context: Any, **args: Any) -> Connection | None:
    if not project.merge_requests_on:
        return None
    rows = project.merge_requests
    if args.get("iids") is not None:
        found = [project.by_iid.get(("merge_request", int(iid))) for iid in args["iids"] if iid.isdigit()]
        rows = [row for row in found if row is not None]
    return _narrowed_merge_requests(rows, args, context)


def _narrowed_merge_requests(rows: list[Any], args: dict[str, Any], context: Any) -> Connection:
    if args.get("state") and args["state"] != "all":
        rows = [row for row in rows if row.state == args["state"]]
    return _sorted(_between(rows, args, updated="updated", created="created", merged="merged"), args, context)


def _merge_request(project: Project, context: Any, iid: str) -> Any:
    return project.by_iid.get(("merge_request", int(iid))) if iid.isdigit() else None


def _pipelines(project: Project, context: Any, **args: Any) -> Connection | None:
    """By id, youngest first; child pipelines only if asked for."""
    if not project.builds_on:
        return None
    return connect_youngest(project.pipelines, args, passes=_wanted_pipeline(args), context=context)


def _wanted_pipeline(args: dict[str, Any]) -> Callable[[Pipeline], bool]:
    source, status = args.get("source"), (args.get("status") or "").lower()
    after, before = (
        parse(text) if (text := args.get(f"updated{end}")) else None for end in ("After", "Before")
    )
    same = [(name, args[name]) for name in ("ref", "sha") if args.get(name)]

    def passes(row: Pipeline) -> bool:
        return (
            (row.source == source if source else row.source != "parent_pipeline")
            and (after is None or row.updated >= after)
            and (before is None or row.updated <= before)
            and (not status or row.status == status)
            and all(getattr(row, name) == value for name, value in same)
        )

    return passes


def _pipeline(
    project: Project, context: Any, iid: str | None = None, sha: str | None = None
) -> Pipeline | None:
    for row in reversed(project.pipelines):
        if (iid is not None and str(row.iid) == iid) or (iid is None and row.sha == sha):
            return row
    return None


def _jobs(pipeline: Pipeline, context: Any, **args: Any) -> Connection:
    """Retried ones too, unless one kind is asked for; youngest first, then the trigger jobs."""
    rows = pipeline.jobs[::-1]
    if pipeline.bridge:
        rows = [pipeline.bridge, *rows]
    if args.get("retried") is not None:
        rows = [row for row in rows if row.retried == args["retried"]]
    if args.get("statuses"):
        rows = [row for row in rows if seen(row, context.now)[0].upper() in args["statuses"]]
    return connect(rows, args, context=context)


def _issues(project: Project, context: Any, **args: Any) -> Connection:
    return _narrowed_issues(project.issues if project.issues_on else [], args, context)


def _narrowed_issues(rows: list[Any], args: dict[str, Any], context: Any) -> Connection:
    if args.get("iids"):
        rows = [row for row in rows if str(row.iid) in args["iids"]]
    if args.get("state") in ("opened", "closed"):
        rows = [row for row in rows if row.state == args["state"]]
    if args.get("types"):
        rows = [row for row in rows if row.type.upper() in args["types"]]
    return _sorted(_between(rows, args, updated="updated", created="created"), args, context)


def _deployments(environment: Environment, context: Any, **args: Any) -> Connection:
    rows = [row for row in context.deployments(environment) if row.environment is environment]
    if args.get("statuses"):
        rows = [row for row in rows if row.status.upper() in args["statuses"]]
    order = args.get("orderBy") or {}
    name = "finished" if order.get("finishedAt") else "created"
    way = order.get("finishedAt") or order.get("createdAt") or "ASC"
    return connect_sorted(rows, args, name=name, down=way == "DESC", context=context)


def _below(group: Group, args: dict[str, Any], context: Any) -> list[Project]:
    deep = group.full_path + "/"
    return [
        one for path, one in context.world.by_path.items()
        if visible(one, context)
        and (one.group is group or (args.get("includeSubgroups") and path.startswith(deep)))
    ]  # fmt: skip


def _group_projects(group: Group, context: Any, **args: Any) -> Connection:
    return _projects(_below(group, args, context), args, context)


def _living(group: Group, args: dict[str, Any], context: Any) -> list[Project]:
    """Archived projects only if asked for."""
    return [one for one in _below(group, args, context) if args.get("includeArchived") or not one.archived]


def _group_merge_requests(group: Group, context: Any, **args: Any) -> Connection:
    projects = [one for one in _living(group, args, context) if one.merge_requests_on]
    rows = [row for one in projects for row in one.merge_requests]
    if args.get("iids") is not None:
        rows = [row for row in rows if str(row.iid) in args["iids"]]
    return _narrowed_merge_requests(rows, args, context)


def _group_issues(group: Group, context: Any, **args: Any) -> Connection:
    projects = [one for one in _living(group, args, context) if one.issues_on]
    return _narrowed_issues([row for one in projects for row in one.issues], args, context)


def _projects(rows: list[Project], args: dict[str, Any], context: Any) -> Connection:
    if args.get("ids") is not None:
        wanted = {str(text).rpartition("/")[2] for text in args["ids"]}
        rows = [row for row in rows if str(row.id) in wanted]
    return connect_sorted(rows, args, name="id", down=True, context=context)


def _all_projects(source: Any, context: Any, **args: Any) -> Connection:
    return _projects([one for one in context.world.projects.values() if visible(one, context)], args, context)


def _releases(project: Project, context: Any, **args: Any) -> Connection:
    args["sort"] = args.get("sort") or "RELEASED_AT_DESC"
    return _sorted(list(project.releases.values()), args, context)


FIELDS["Query"] = {
    "currentUser": lambda source, context: context.world.people.reader,
    "group": lambda source, context, fullPath: context.world.groups.get(fullPath),  # noqa: N803
    "project": lambda source, context, fullPath: visible(context.world.by_path.get(fullPath), context),  # noqa: N803
    "projects": _all_projects,
    "queryComplexity": lambda source, context: context,
    "metadata": lambda source, context: context,
}
FIELDS["Group"] |= {
    "projects": _group_projects,
    "mergeRequests": _group_merge_requests,
    "issues": _group_issues,
}
FIELDS["Project"] |= {
    "mergeRequests": _merge_requests,
    "mergeRequest": _merge_request,
    "pipelines": _pipelines,
    "pipeline": _pipeline,
    "issues": _issues,
    "releases": _releases,
    "environment": lambda project, context, name=None: project.environments.get(name),
}
FIELDS.setdefault("Pipeline", {})["jobs"] = _jobs
FIELDS.setdefault("Environment", {})["deployments"] = _deployments

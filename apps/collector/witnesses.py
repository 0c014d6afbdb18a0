"""What proves that a project is at rest, asked for a group's projects in a few requests.

`lastActivityAt` alone is no proof: pipelines and deployments do not move it, and GitLab writes it down at
most once an hour. So an event that we have not seen has moved it to no more than an hour before that event.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import structlog

from apps.collector.client import Client
from apps.collector.errors import GitlabRefused, TooSlow
from apps.collector.graphql import judge, tail
from apps.collector.models import Branch, Project, RawDeployment, RawRelease
from apps.collector.normalise import Unfit, instant
from apps.collector.query_text import query_text
from apps.collector.server import Abilities

log = structlog.get_logger(__name__)
LAG = dt.timedelta(minutes=75)  # GitLab writes the last activity once an hour, and replicas lag
PROJECTS_AT_ONCE = 25
NEEDS = ("Project.pipelines", "Project.lastActivityAt", "Group.projects")


class _Some(msgspec.Struct):
    nodes: list[Any] = []


class _Commit(msgspec.Struct):
    sha: str | None = None


class _Tree(msgspec.Struct):
    lastCommit: _Commit | None = None  # noqa: N815  # GitLab's name


class _Repository(msgspec.Struct):
    tree: _Tree | None = None


class _Node(msgspec.Struct):
    id: str
    lastActivityAt: str | None = None  # noqa: N815  # GitLab's name
    repository: _Repository | None = None
    pipelines: _Some | None = None
    children: _Some | None = None
    releases: _Some | None = None


class _More(msgspec.Struct):
    hasNextPage: bool = False  # noqa: N815  # GitLab's name
    endCursor: str | None = None  # noqa: N815  # GitLab's name


class _Projects(msgspec.Struct):
    nodes: list[_Node | None] = []
    pageInfo: _More = msgspec.field(default_factory=_More)  # noqa: N815  # GitLab's name


class _Group(msgspec.Struct):
    projects: _Projects | None = None


class _Data(msgspec.Struct):
    group: _Group | None = None


class _Answer(msgspec.Struct):
    data: _Data | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def _decode(body: bytes) -> _Projects:
    judge(body)
    data = _DECODER.decode(body).data
    found = data and data.group and data.group.projects
    return found or _Projects()


def probe_group(
    path: str,
    projects: Mapping[int, Project],
    *,
    client: Client,
    abilities: Abilities,
    since: dt.datetime,
    again: bool,
) -> dict[str, set[int]]:
    """Witness -> projects for which it saw nothing new since a moment. Empty where the server cannot tell."""
    if not abilities.has(NEEDS):
        return {}
    known = _Known(projects, again=again)
    proved: dict[str, set[int]] = defaultdict(set)
    try:
        for node in _nodes(path, client=client, abilities=abilities, since=since):
            number = tail(node.id)
            if number is not None and number in projects:
                for witness in known.witnesses(number, node, since=since):
                    proved[witness].add(number)
    except (GitlabRefused, TooSlow) as error:
        log.info("probe refused", group=path, reason=str(error))
    return proved


def _nodes(path: str, *, client: Client, abilities: Abilities, since: dt.datetime) -> Iterator[_Node]:
    text = query_text("projects_at_rest.graphql", abilities.fields)
    told = {"group": path, "since": since.isoformat().replace("+00:00", "Z")}
    after, size = None, PROJECTS_AT_ONCE
    while True:
        try:
            found = client.graphql(text, variables={**told, "after": after, "n": size}, decode=_decode).value
        except TooSlow:
            if size == 1:
                raise
            size //= 2
            continue
        yield from (node for node in found.nodes if node is not None)
        after = found.pageInfo.endCursor
        if not found.pageInfo.hasNextPage or not after:
            return


class _Known:
    """What we hold of the projects, to compare the probe with."""

    def __init__(self, projects: Mapping[int, Project], *, again: bool) -> None:
        ids = list(projects)
        self._again = again
        self._branch = {pk: project.default_branch for pk, project in projects.items()}
        heads = Branch.objects.filter(project_id__in=ids, is_default=True)
        self._heads = dict(heads.values_list("project_id", "head_sha"))
        by_api = RawDeployment.objects.filter(project_id__in=ids, pipeline_id__isnull=True)
        self._by_api = set(by_api.values_list("project_id", flat=True).distinct())
        releases = RawRelease.objects.filter(project_id__in=ids, created_at__isnull=False)
        newest = releases.order_by("project_id", "-created_at").distinct("project_id")
        self._releases = {one.project_id: one.created_at for one in newest}

    def witnesses(self, number: int, node: _Node, *, since: dt.datetime) -> Iterator[str]:
        """Those who saw nothing new in this project."""
        pipelines = node.pipelines is not None and not node.pipelines.nodes
        children = node.children is not None and not node.children.nodes
        if self._is_quiet(number, node, since):
            yield "activity"
        if pipelines:
            yield "pipelines"
        if children:
            yield "children"
        if pipelines and children and number not in self._by_api:
            yield "environments"
            if (
                not self._again
            ):  # once a night they are read: a record made through the API moves nothing else
                yield "deployments"
        if not self._again and self._has_no_new_release(number, node):
            yield "releases"

    def _is_quiet(self, number: int, node: _Node, since: dt.datetime) -> bool:
        """No event since then, and the default branch's head is the one we know."""
        tree = node.repository and node.repository.tree
        head = tree.lastCommit.sha if tree and tree.lastCommit else None
        if self._branch[number] and head != self._heads.get(number):
            return False
        try:
            return instant(node.lastActivityAt) < since - LAG
        except Unfit:
            return False

    def _has_no_new_release(self, number: int, node: _Node) -> bool:
        if node.releases is None:
            return False
        newest = next(iter(node.releases.nodes), None)
        ours = self._releases.get(number)
        if newest is None or ours is None:
            return newest is None and ours is None
        try:
            theirs = instant(newest.get("createdAt"))
        except Unfit:
            return False
        return abs(theirs - ours) < dt.timedelta(seconds=1)

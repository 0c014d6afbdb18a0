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
from apps.collector.errors import GitlabRefused, GitlabUnavailable, TooSlow
from apps.collector.graphql import judge, tail
from apps.collector.models import Project, RawDeployment, RawRelease
from apps.collector.normalise import Unfit, instant
from apps.collector.query_text import query_text
from apps.collector.server import Abilities

log = structlog.get_logger(__name__)
LAG = dt.timedelta(minutes=75)  # GitLab writes the last activity once an hour, and replicas lag
PROJECTS_AT_ONCE = 25
NEEDS = ("Project.pipelines", "Project.lastActivityAt", "Group.projects")


_Told = tuple[str, ...]


class _More(msgspec.Struct):
    hasNextPage: bool = False  # noqa: N815  # GitLab's name
    endCursor: str | None = None  # noqa: N815  # GitLab's name


class _Some(msgspec.Struct):
    nodes: list[Any] = []
    pageInfo: _More = msgspec.field(default_factory=_More)  # noqa: N815  # GitLab's name


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


class Probe:
    """One probe of a group. `proved`: witness -> projects for which it saw nothing new since a moment; empty
    where the server cannot tell. `heads`: where default branches' trees end, for the next probe to compare.
    """

    def __init__(self, projects: Mapping[int, Project], *, heads: Mapping[str, str], again: bool) -> None:
        ids = list(projects)
        self.proved: dict[str, set[int]] = defaultdict(set)
        self.heads: dict[str, str] = dict(heads)
        self._projects, self._before, self._again = projects, dict(heads), again
        by_api = RawDeployment.objects.filter(project_id__in=ids, pipeline_id__isnull=True)
        self._by_api = set(by_api.values_list("project_id", flat=True).distinct())
        self._releases: dict[int, list[_Told]] = defaultdict(list)
        releases = RawRelease.objects.filter(project_id__in=ids).order_by("-created_at")
        names = ("project_id", "tag_name", "commit_id", "created_at", "released_at")
        for project, tag, commit, created, released in releases.values_list(*names):
            self._releases[project].append(_told(tag, commit, created, released))

    def ask(self, path: str, *, client: Client, abilities: Abilities, since: dt.datetime) -> None:
        """Page through the group's projects. A refusal proves nothing, and hinders nobody."""
        if not abilities.has(NEEDS):
            return
        try:
            for node in _nodes(path, client=client, abilities=abilities, since=since):
                number = tail(node.id)
                if number is not None and number in self._projects:
                    for witness in self._witnesses(number, node, since=since):
                        self.proved[witness].add(number)
        except (GitlabRefused, GitlabUnavailable) as error:
            log.info("probe refused", group=path, reason=str(error))

    def _witnesses(self, number: int, node: _Node, *, since: dt.datetime) -> Iterator[str]:
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
            if not self._again:  # read once a night: a record made through the API moves nothing else
                yield "deployments"
        if node.releases is not None and self._has_these(number, node.releases):
            yield "releases"

    def _is_quiet(self, number: int, node: _Node, since: dt.datetime) -> bool:
        """No event since then, and the default branch ends as it did at the last probe.

        The tree's last commit need not be the head itself, GitLab simplifies history; but one head gives one.
        """
        tree = node.repository and node.repository.tree
        head = (tree.lastCommit.sha if tree and tree.lastCommit else None) or ""
        before, self.heads[str(number)] = self._before.get(str(number)), head
        if head != before:
            return False
        try:
            return instant(node.lastActivityAt) < since - LAG
        except Unfit:
            return False

    def _has_these(self, number: int, theirs: _Some) -> bool:
        """Its youngest releases are as we know them; an edit of an older one is found at the week's end."""
        try:
            told = [
                _told(
                    one["tagName"], one["commit"]["sha"], *map(_moment, (one["createdAt"], one["releasedAt"]))
                )
                for one in theirs.nodes
            ]
        except (Unfit, KeyError, TypeError):
            return False
        ours = self._releases.get(number, [])
        return sorted(told) == sorted(ours[: len(told)] if theirs.pageInfo.hasNextPage else ours)


def _moment(value: Any) -> dt.datetime | None:
    return None if value is None else instant(value)


def _told(tag: str, commit: str | None, *moments: dt.datetime | None) -> _Told:
    """A release as both routes can tell it: GraphQL leaves out milliseconds."""
    told = (moment.replace(microsecond=0).isoformat() if moment else "" for moment in moments)
    return (tag, commit or "", *told)


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

"""Find the projects under the root groups: new, renamed, moved away, archived, forbidden."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from urllib.parse import quote

import structlog
from django.db import transaction

from apps.collector.client import Client
from apps.collector.endpoints import PROJECTS
from apps.collector.errors import GitlabRefused
from apps.collector.exclusions import Reason, coverage, exclude
from apps.collector.models import Exclusion, IngestionState, Project, Server
from apps.collector.reading import Page, Place, Reading
from apps.collector.server import probe
from apps.collector.storing import reader_of, store

__all__ = ["coverage", "discover", "projects_to_collect", "remember_history"]

log = structlog.get_logger(__name__)
SETTLED_BY_DISCOVERY = (Reason.PENDING_DELETION, Reason.OUT_OF_SCOPE, Reason.EMPTY, Reason.ARCHIVED)


def discover(*, client: Client, now: dt.datetime, since: dt.datetime, root_groups: Sequence[str]) -> None:
    """Probe the server and renew `dim_project` and the exclusions.

    A root group that refuses us is reported and leaves its known projects as they are; raises GitlabRefused
    when all do, TokenRefused and GitlabUnavailable like every request.
    """
    probe(client, now=now)
    pages: list[Page] = []
    refused: dict[str, GitlabRefused] = {}
    for group in root_groups:
        try:
            pages += _projects_of(group, client=client, since=since)
        except GitlabRefused as refusal:
            refused[group] = refusal
            log.warning("root group not readable", group=group, reason=str(refusal))
    if root_groups and len(refused) == len(root_groups):
        raise GitlabRefused(
            f"None of the root groups can be read ({', '.join(refused)}):"
            " check root_groups in the org file and what the token may see."
        )
    with transaction.atomic():
        for page in pages:
            store(PROJECTS.routes[0], page, project_id=None)
        _settle(_listed(pages), since=since, now=now, unread=list(refused))


def _projects_of(group: str, *, client: Client, since: dt.datetime) -> list[Page]:
    route = PROJECTS.routes[0]
    reading = Reading(
        client=client,
        place=Place(group=quote(group, safe="")),
        reader=reader_of(route),
        since=since,
        cursor={},
        server_fields={},
    )
    return list(route.source.pages(reading))


def _listed(pages: list[Page]) -> set[int]:
    return {
        document.id
        for page in pages
        for document, _ in page.documents
        if isinstance(getattr(document, "id", None), int)
    }


def _settle(listed: set[int], *, since: dt.datetime, now: dt.datetime, unread: list[str]) -> None:
    """Who is in scope, and which of them there is nothing to collect from."""
    for project in Project.objects.all():
        if project.pk in listed:
            _judge(project, since=since, now=now)
        elif not any(project.path_with_namespace.startswith(f"{group}/") for group in unread):
            Project.objects.filter(pk=project.pk, in_scope=True).update(in_scope=False, active_flag=False)
            exclude(project.pk, reason=Reason.OUT_OF_SCOPE, detail="no longer under a root group", now=now)


def _judge(project: Project, *, since: dt.datetime, now: dt.datetime) -> None:
    if project.namespace_kind == "user":
        Project.objects.filter(pk=project.pk).update(in_scope=False)
        exclude(project.pk, reason=Reason.OUT_OF_SCOPE, detail="in a user's namespace", now=now)
    elif project.pending_deletion_at:
        exclude(project.pk, reason=Reason.PENDING_DELETION, detail=project.pending_deletion_at, now=now)
    elif project.empty_repo and project.issues_access_level == "disabled":
        exclude(project.pk, reason=Reason.EMPTY, detail="no commits, and issues are off", now=now)
    elif project.archived and project.settled_at and _reaches_back(project, since):
        exclude(project.pk, reason=Reason.ARCHIVED, detail="collected to its last state", now=now)
    else:
        Exclusion.objects.filter(reason__in=SETTLED_BY_DISCOVERY, project_id=project.pk).delete()


def _reaches_back(project: Project, since: dt.datetime) -> bool:
    """Whether nothing of the project was read from a later moment only."""
    marks = IngestionState.objects.filter(level="project", level_id=project.pk)
    return not marks.filter(history_from__gt=since).exists()


def projects_to_collect() -> list[int]:
    """The projects in scope that there is something to collect from; a closed one is tried again."""
    left_out = Exclusion.objects.filter(reason__in=SETTLED_BY_DISCOVERY).values("project_id")
    found = Project.objects.filter(in_scope=True).exclude(pk__in=left_out).order_by("pk")
    return list(found.values_list("pk", flat=True))


def remember_history(since: dt.datetime) -> None:
    """History is complete from `since` on: keep the earlier of that and what was known."""
    for server in Server.objects.all():
        if server.history_since is None or since < server.history_since:
            server.history_since = since
            server.save(update_fields=["history_since"])

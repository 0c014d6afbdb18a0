"""Whether this GitLab closes issues by the words that we read: its own answers are held against ours.

The pattern is a setting of the server that no API tells. Where an answer differs, GitLab is asked from then
on wherever an issue is named, and what was read before is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from apps.collector.client import Client
from apps.collector.errors import GitlabRefused
from apps.collector.models import RawIssue, RawMergeRequest, RawMergeRequestIssue, Server

log = structlog.get_logger(__name__)
EACH = 3  # merge requests with links and without, a night

Pairs = set[tuple[int, int]]


def check_closing_words(client: Client) -> None:
    """Ask about a few merge requests that were merged lately. Raises TokenRefused, GitlabUnavailable."""
    server = Server.objects.filter(url=client.url, closes_otherwise=False).first()
    if server is None:
        return
    for merge_request in _sample():
        try:
            theirs = _told(client, merge_request)
        except GitlabRefused:
            continue
        if theirs != _ours(merge_request.mr_id, known=theirs):
            log.warning("this GitLab closes issues by other words than the default", mr=merge_request.mr_id)
            _distrust(server)
            return


def _sample() -> Iterable[RawMergeRequest]:
    """The last merged, with links and without, whose details are up to date and were read offline."""
    links = RawMergeRequestIssue.objects.filter(mr_id=OuterRef("mr_id"))
    read = RawMergeRequest.objects.filter(
        state="merged", deleted_at__isnull=True, links_at__gte=F("updated_at"),
        target_branch=F("project__default_branch"), project__in_scope=True,
    ).order_by("-merged_at", "-mr_id")  # fmt: skip
    return [*read.filter(Exists(links))[:EACH], *read.exclude(Exists(links))[:EACH]]


def _told(client: Client, merge_request: RawMergeRequest) -> Pairs:
    path = f"/projects/{merge_request.project_id}/merge_requests/{merge_request.iid}/closes_issues"
    found = client.get(path, query={"per_page": 100}, decode=msgspec.json.decode).value
    issues = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    pairs = [(one.get("project_id"), one.get("iid")) for one in issues]
    return {(project, iid) for project, iid in pairs if isinstance(project, int) and isinstance(iid, int)}


def _ours(mr_id: int, *, known: Pairs) -> Pairs:
    """What we read, as far as such issues exist: GitLab does not speak of others."""
    links: Any = RawMergeRequestIssue.objects.filter(mr_id=mr_id, issue_project__regex=r"^[0-9]{1,18}$")
    pairs = {(int(project), iid) for project, iid in links.values_list("issue_project", "issue_iid")}
    return {
        pair
        for pair in pairs
        if pair in known or RawIssue.objects.filter(project_id=pair[0], iid=pair[1], deleted_at=None).exists()
    }


@transaction.atomic
def _distrust(server: Server) -> None:
    Server.objects.filter(pk=server.pk).update(closes_otherwise=True)
    RawMergeRequest.objects.filter(state="merged").update(links_at=None)

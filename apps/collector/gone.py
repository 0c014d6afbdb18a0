"""What GitLab lost: rows of ours that a whole list no longer has. They are marked, never erased."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

from django.db import models

from apps.collector.client import Client
from apps.collector.endpoints import Endpoint
from apps.collector.errors import GitlabRefused, RouteRefused
from apps.collector.tables import Document


class Seen:
    """The ids of one project that the lists of a sweep brought, and the rows that they did not.

    A list may skip a row that moved under our hands, and does not reach back before history; so each row that
    is missing is asked for by its own address before it counts as gone.
    """

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._ids: dict[type[models.Model], set[int]] = defaultdict(set)
        self._lists: dict[type[models.Model], Endpoint] = {}
        self._gone: dict[type[models.Model], list[int]] = {}

    def add(self, endpoint: Endpoint, documents: Iterable[Document], *, is_whole: bool) -> None:
        """Rows of a list; `is_whole` with the last of them."""
        model = endpoint.main.into
        self._ids[model].update(row.id for row, _ in documents if isinstance(getattr(row, "id", None), int))
        if is_whole:
            self._lists.setdefault(model, endpoint)

    def verify(self, client: Client) -> None:
        """Ask for each row that no list brought. Raises GitlabUnavailable, TokenRefused."""
        for model, endpoint in self._lists.items():
            key = model._meta.pk.name
            rows = model._default_manager.filter(project_id=self._project_id, deleted_at__isnull=True)
            missing = [row for row in rows.values("pk", key, "iid") if row["pk"] not in self._ids[model]]
            gone = [
                row["pk"]
                for row in missing
                if _is_missing(client, endpoint.single.format(project_id=self._project_id, **row))
            ]
            if gone and self._is_open(client, endpoint):
                self._gone[model] = gone

    def _is_open(self, client: Client, endpoint: Endpoint) -> bool:
        """Whether the list still answers: what was closed to us meanwhile says 404 to every row."""
        path = endpoint.single.rpartition("/{")[0].format(project_id=self._project_id)
        try:
            client.get(path, query={"per_page": 1}, decode=bytes)
        except GitlabRefused:
            return False
        return True

    def mark_gone(self, *, now: dt.datetime) -> None:
        """Write down what is gone. Inside the transaction that ends the collection."""
        for model, ids in self._gone.items():
            model._default_manager.filter(pk__in=ids).update(deleted_at=now, fetched_at=now)


def _is_missing(client: Client, path: str) -> bool:
    """Whether GitLab says that there is none."""
    try:
        client.get(path, query={}, decode=bytes)
    except RouteRefused:
        return False
    except GitlabRefused as refusal:
        return refusal.status == 404
    return False

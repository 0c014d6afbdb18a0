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
        self._lists: dict[type[models.Model], list[tuple[Endpoint, bool]]] = defaultdict(list)
        self._gone: dict[type[models.Model], list[int]] = {}

    def add(self, endpoint: Endpoint, documents: Iterable[Document], *, is_whole: bool) -> None:
        """Rows of a list; `is_whole` with the last of them."""
        model = endpoint.main.into
        self._ids[model].update(row.id for row, _ in documents if isinstance(getattr(row, "id", None), int))
        if is_whole:
            self._lists[model].append((endpoint, True))

    def verify(self, client: Client) -> None:
        """Ask for each row that no list brought. Raises GitlabUnavailable, TokenRefused."""
        for model, lists in self._lists.items():
            endpoint = lists[0][0]
            key = model._meta.pk.name
            rows = model._default_manager.filter(project_id=self._project_id, deleted_at__isnull=True)
            missing = [row for row in rows.values("pk", key, "iid") if row["pk"] not in self._ids[model]]
            self._gone[model] = [
                row["pk"]
                for row in missing
                if _is_gone(client, endpoint.single.format(project_id=self._project_id, **row))
            ]

    def mark_gone(self, *, now: dt.datetime) -> None:
        """Write down what is gone. Inside the transaction that ends the collection."""
        for model, ids in self._gone.items():
            model._default_manager.filter(pk__in=ids).update(deleted_at=now, fetched_at=now)


def _is_gone(client: Client, path: str) -> bool:
    """404 where the project itself answers; a collection that was refused never comes this far."""
    try:
        client.get(path, query={}, decode=bytes)
    except RouteRefused:
        return False
    except GitlabRefused as refusal:
        return refusal.status == 404
    return False

"""What the configured GitLab was found to be able to do, asked once in a run and kept in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog

from apps.collector.client import Client
from apps.collector.closing import CUSTOM
from apps.collector.errors import GitlabRefused, GitlabUnavailable
from apps.collector.models import Server
from apps.collector.query_text import query_text

log = structlog.get_logger(__name__)
REFUSED = "refused"  # beside the types: {"merge_request_details/graphql": reason}


class Abilities:
    """Fields by GraphQL type, and routes that this server turned out to refuse."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.fields: dict[str, list[str]] = {
            name: kept for name, kept in server.fields.items() if name != REFUSED
        }
        if server.closes_otherwise:
            self.fields[CUSTOM] = []

    @classmethod
    def of(cls, url: str) -> Abilities:
        """What the last probe found; REST only where there was none."""
        return cls(Server.objects.filter(url=url).first() or Server(url=url))

    def has(self, needs: Iterable[str]) -> bool:
        """Whether every `Type.field` exists."""
        pairs = (need.partition(".") for need in needs)
        return all(name in self.fields.get(kind, ()) for kind, _, name in pairs)

    def refused(self, entity: str, route: str) -> bool:
        """Whether this route failed before, since the last probe."""
        return f"{entity}/{route}" in self._server.fields.get(REFUSED, {})

    def obstacle(self, entity: str, route: str, *, needs: Iterable[str]) -> str:
        """Why this route is not taken, "" where it can be."""
        if missing := [need for need in needs if not self.has((need,))]:
            return f"the server has no {', '.join(missing)}"
        return str(self._server.fields.get(REFUSED, {}).get(f"{entity}/{route}", ""))

    @property
    def tier(self) -> str | None:
        """Free, or paid: only a paid server knows how many approvals are required. None: nothing tells."""
        if self._server.enterprise is False:
            return "free"
        if "MergeRequest" not in self.fields:
            return None
        return "paid" if self.has(("MergeRequest.approvalsRequired",)) else "free"

    def remember_refusal(self, entity: str, route: str, reason: str) -> None:
        """Do not try this route again until the next probe."""
        fields = {**self._server.fields}
        fields[REFUSED] = {**fields.get(REFUSED, {}), f"{entity}/{route}": reason[:200]}
        self._server.fields = fields
        if self._server.pk:
            self._server.save(update_fields=["fields"])


def probe(client: Client, *, now: dt.datetime) -> Server:
    """Ask version and GraphQL fields and keep them. `now` is when we ask.

    Raises TokenRefused, GitlabUnavailable where nothing answers.
    """
    about: dict[str, Any] = {}
    try:
        found = client.get("/version", query={}, decode=msgspec.json.decode).value
        about = found if isinstance(found, dict) else {}
    except GitlabRefused:
        log.info("the server keeps its version to itself")
    server, _ = Server.objects.update_or_create(
        url=client.url,
        defaults={
            "version": str(about.get("version") or "")[:100],
            "enterprise": about.get("enterprise") if isinstance(about.get("enterprise"), bool) else None,
            "fields": _fields(client),
            "probed_at": now,
        },
    )
    return server


def _fields(client: Client) -> dict[str, list[str]]:
    """Field names by type; nothing where the server has no GraphQL or will not describe it."""
    try:
        answer = client.graphql(query_text("probe.graphql", {}), variables={}, decode=msgspec.json.decode)
    except (GitlabRefused, GitlabUnavailable) as error:
        log.warning("no GraphQL here, reading by REST alone", reason=str(error))
        return {}
    data = answer.value.get("data") if isinstance(answer.value, dict) else None
    if not isinstance(data, dict) or answer.value.get("errors"):
        return {}
    return {kind: _names(described) for kind, described in data.items() if isinstance(described, dict)}


def _names(described: dict[str, Any]) -> list[str]:
    fields = described.get("fields")
    return sorted(one["name"] for one in fields if isinstance(one, dict)) if isinstance(fields, list) else []

"""Whether the parts that TEM stands on are there: database, migrations, broker, GitLab's token.

Each probe answers "" or what is wrong, in words for the person who has to mend it; none waits longer
than a few seconds, and GitLab is asked at most once a minute by a process, however often we are.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import OperationalError

from apps.collector.client import Client
from apps.collector.errors import GitlabRefused
from tem.environment import missing_gitlab
from tem.errors import TemError

TOKEN_KEPT_S = 60.0
SCOPES = {"read_api", "api"}  # either one will do


def database() -> str:
    try:
        with connection.cursor() as sql:
            sql.execute("select 1")
    except DatabaseError as error:
        return f"PostgreSQL does not answer: {str(error).splitlines()[0]}"
    return ""


def migrations() -> str:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "cannot be known without the database"
    return f"{len(missing)} migrations are missing: run manage.py migrate" if missing else ""


def broker() -> str:
    try:
        with current_app.connection_for_read() as link:
            link.ensure_connection(max_retries=1, interval_start=0, timeout=2)
    except (OperationalError, OSError) as error:
        return f"Redis does not answer: {error}"
    return ""


class _Kept:
    """The last answer about the token, for as long as it may stand."""

    def __init__(self) -> None:
        self.lock, self.asked_at, self.answer = threading.Lock(), -TOKEN_KEPT_S, ""

    def get(self) -> str:
        with self.lock:
            if time.monotonic() - self.asked_at >= TOKEN_KEPT_S:
                self.answer, self.asked_at = ask_gitlab(), time.monotonic()
            return self.answer


_token = _Kept()


def gitlab() -> str:
    """Whether GitLab takes the token, at most a minute old."""
    return _token.get()


def ask_gitlab() -> str:
    """Ask GitLab what the token may do. A server that cannot say so is asked for its version instead."""
    if missing := missing_gitlab(url=settings.GITLAB_URL, token=settings.GITLAB_TOKEN):
        return " ".join(missing)
    try:
        client = Client(
            url=settings.GITLAB_URL, token=settings.GITLAB_TOKEN, timeout=(2, 4), deadline_s=5, patience_s=0
        )
        told = own_token(client)
        if told is None:
            _read(client, "/version")
    except TemError as error:
        return str(error)
    return "" if told is None or told.may_read else "GITLAB_API_TOKEN lacks the scope read_api."


class Token(msgspec.Struct):
    """What GitLab says of the token that asks: its number, its scopes, the last day on which it is good."""

    id: int | None = None
    scopes: list[str] | None = None
    expires_at: dt.date | None = None

    @property
    def may_read(self) -> bool:
        """Whether it has the scope that we need; one of which nothing is said is believed."""
        return not self.scopes or bool(SCOPES & set(self.scopes))


def own_token(client: Client) -> Token | None:
    """The token that we ask with; None where GitLab does not tell. Raises what `Client.get` raises."""
    try:
        return client.get(
            "/personal_access_tokens/self", query={}, decode=msgspec.json.Decoder(Token).decode
        ).value
    except GitlabRefused:
        return None


def _read(client: Client, path: str) -> Any:
    return client.get(path, query={}, decode=msgspec.json.decode).value


PROBES: dict[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "broker": broker,
    "gitlab": gitlab,
}

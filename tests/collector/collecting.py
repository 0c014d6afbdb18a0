"""Collecting as the ledger does: wait, call again, until it is through."""

from __future__ import annotations

import datetime as dt
import traceback
from typing import Any

from django.db import connection, transaction

from apps.collector import models, people
from apps.collector.client import Client
from apps.collector.collect import PLAIN, Thoroughness, collect
from apps.collector.discover import discover, projects_to_collect
from apps.collector.errors import GitlabRefused, GitlabUnavailable
from apps.orgmap.models import Organisation
from apps.runs.ledger import Unrecorded
from tests.collector.line import Line
from tests.company.company import CONTENT, GROUPS, SINCE, TOKEN, content, differences, forget

LEDGER = 71000017  # a project with some of everything
MOST_TOLD = 12
MOST = 150  # attempts at one project


class NeverThrough(AssertionError):
    """A project that was not collected after many attempts, with the last thing that went wrong."""


def an_organisation() -> None:
    """The collector asks it for rules."""
    Organisation.objects.get_or_create(name="Toman", defaults={"root_groups": ["toman"], "bots": []})


def discovered(client: Client, *, since: dt.datetime = SINCE) -> list[int]:
    """The projects to collect."""
    an_organisation()
    for _ in range(MOST):
        try:
            discover(client=client, now=client.server_time, since=since, root_groups=GROUPS)
        except GitlabUnavailable:
            continue
        return projects_to_collect()
    raise NeverThrough("discovery")


def keeps_its_secret(error: Exception) -> None:
    """No token in an error, nor in what led to it."""
    if TOKEN in "".join(traceback.format_exception(error)):
        raise AssertionError("the token stands in an error")


def through(
    client: Client, project: int, *, since: dt.datetime = SINCE, how: Thoroughness = PLAIN
) -> tuple[str, Unrecorded]:
    """A project collected to its end: why it was left out, nothing if it was not, and the counts."""
    step, trouble = Unrecorded(), None
    for _ in range(MOST):
        try:
            collect(project, client=client, since=since, step=step, thoroughness=how)
        except GitlabRefused as refusal:
            keeps_its_secret(refusal)
            return refusal.reason, step
        except GitlabUnavailable as error:
            keeps_its_secret(error)
            trouble = error
            continue
        return "", step
    raise NeverThrough(f"{project}: {trouble}")


def collected(
    client: Client, *, since: dt.datetime = SINCE, how: Thoroughness = PLAIN
) -> dict[int, tuple[str, Unrecorded]]:
    """Every project, as a run's phases do it."""
    found = {
        project: through(client, project, since=since, how=how) for project in discovered(client, since=since)
    }
    link_people()
    return found


def link_people() -> None:
    """Name the authors of commits once all projects were read, as the phase after collecting does."""
    for project in people.projects_to_link():
        with transaction.atomic():
            people.link_by_address(project)


def collected_from_nothing(client: Client, **how: Any) -> dict[str, set[str]]:
    """The content after a collection into an empty database, every project of it through."""
    forget()
    lost = {project: reason for project, (reason, _) in collected(client, **how).items() if reason}
    assert lost == {}
    return content()


def assert_equal(calm: dict[str, set[str]], found: dict[str, set[str]]) -> None:
    """Says which rows stand in one only."""
    lost = differences(calm, found)
    assert not lost, "\n".join([*lost[:MOST_TOLD], f"{len(lost)} in all"])


def is_whole(line: Line, client: Client, whole: dict[str, set[str]]) -> None:
    """Once the trouble is over a collection is complete, and the project is left out no more."""
    line.calm()
    discovered(client)
    assert through(client, LEDGER)[0] == ""
    assert not models.Exclusion.objects.filter(project_id=LEDGER).exists()
    assert_equal(whole, content())


def written() -> dict[str, list[Any]]:
    """Every row with its physical version: equal means that nothing was written."""
    found = {}
    with connection.cursor() as cursor:
        for model in (*CONTENT, models.RawBranchHead):
            cursor.execute(
                f"select xmin, ctid, * from {model._meta.db_table} order by ctid"
            )  # our own tables
            found[model.__name__] = cursor.fetchall()
    return found

"""What GitLab would not show of a project: an entity that is switched off or closed, or all of it."""

from __future__ import annotations

import datetime as dt

import structlog

from apps.collector.client import Client
from apps.collector.endpoint import Endpoint
from apps.collector.errors import GitlabRefused
from apps.collector.exclusions import exclude
from apps.collector.marks import Mark
from apps.collector.models import Project
from apps.collector.reading import Place

log = structlog.get_logger(__name__)


class Refusals:
    """The refusals of one collection, judged at its end. `answered`: the path of a list that was read;
    `rested`: something was proved to be at rest, by answers about the whole group.
    """

    def __init__(self, project: Project, place: Place) -> None:
        self._project, self._place = project, place
        self._found: list[tuple[Endpoint, Mark, GitlabRefused]] = []
        self.answered, self.rested = "", False

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, endpoint: Endpoint, mark: Mark, refusal: GitlabRefused) -> None:
        """An entity was refused. That an empty repository has no commits is no refusal."""
        if not (self._place.empty and endpoint.feature == "repository"):
            self._found.append((endpoint, mark, refusal))

    def judge(self, client: Client, *, now: dt.datetime) -> None:
        """Were these entities closed, or is it the project? Raises GitlabRefused, and excludes it, if so."""
        if not self._found:
            return
        last = self._found[-1][2]
        if not self._is_open(client):
            exclude(self._project.pk, reason="no_access", detail=str(last), now=now)
            raise GitlabRefused(f"GitLab does not show {self._project}: {last}", reason="no_access") from last
        for endpoint, mark, refusal in self._found:
            mark.refuse("no_access" if self._is_on(endpoint) else "feature_disabled")
            log.info("unavailable", project=str(self._project), entity=endpoint.name, reason=str(refusal))

    def _is_on(self, endpoint: Endpoint) -> bool:
        return self._place.features.get(endpoint.feature) in ("enabled", "private", "public")

    def _is_open(self, client: Client) -> bool:
        """By its own page, or by a list that answered before and still does.

        A project whose page we see, but none of the lists that are switched on, is closed all the same.
        """
        silent = not self.answered and not self.rested
        if silent and any(self._is_on(endpoint) for endpoint, *_ in self._found):
            return False
        project = f"/projects/{self._project.pk}"
        for path in (project, self.answered):
            try:
                if path:
                    client.get(path, query={"per_page": 1} if path != project else {}, decode=bytes)
                    return True
            except GitlabRefused:
                continue
        return False

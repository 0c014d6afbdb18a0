"""Issues that collected merge requests close but that no list brought, being too old: asked for by number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.collector.errors import GitlabRefused
from apps.collector.reading import PER_PAGE, Page, Reading

_MISSING = """
    select l.id, l.issue_project, l.issue_iid
      from raw_mr_issue l
     where l.project_id = %(project)s and l.id > %(asked)s and l.issue_project ~ '^[0-9]{1,18}$'
       and not exists (select from raw_issue i
                        where i.project_id = l.issue_project::bigint and i.iid = l.issue_iid)
     order by l.id
"""


@dataclass(frozen=True)
class ByNumber:
    """Up to a page of issues of one project at a time. What is not shown to us is not asked for again."""

    path: str
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """A page for each project (and hundred) of missing issues; the last one carries how far we asked."""
        asked = reading.cursor.get("asked", 0)
        told: dict[str, Any] = {"project": reading.place.project_id, "asked": asked}
        with connection.cursor() as cursor:
            cursor.execute(_MISSING, told)
            missing = cursor.fetchall()
        wanted: dict[str, list[int]] = defaultdict(list)
        for _, project, iid in missing:
            wanted[project].append(iid)
        for project, iids in sorted(wanted.items()):
            for start in range(0, len(iids), PER_PAGE):
                yield self._page(project, iids[start : start + PER_PAGE], reading)
        reached = max((number for number, *_ in missing), default=asked)
        if reached > asked:
            yield Page([], reading.client.server_time, cursor={"asked": reached})

    def _page(self, project: str, iids: list[int], reading: Reading) -> Page:
        query = {"iids[]": sorted(set(iids)), "scope": "all", "per_page": PER_PAGE}
        try:
            answer = reading.client.get(
                self.path.format(issue_project=project), query=query, decode=reading.reader.rows
            )
        except GitlabRefused:
            return Page([], reading.client.server_time)
        given = reading.saw(answer.server_time)
        return Page([(row, given) for row in answer.value], answer.server_time)

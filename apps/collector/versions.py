"""Which versions of merge requests rewrote history: a head that lacks the head before it among its ancestors.

What is known settles most of it: the commits of the last version are all of its history down to the target
branch, in order. Only pairs of heads that the last version no longer holds cost a request, once for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.db import connection

from apps.collector.errors import GitlabRefused
from apps.collector.reading import Page, Reading, ahead

# Heads in the order of their versions; `kept` and `kept_before` say where in the last version's commits (0 is
# the newest) a head stands. A head among those commits descends from any that stands further down. One that
# stands nowhere has left the history of the last version, unless it came back by way of the target branch:
# for the default branch we would know it.
_SETTLE = """
    with pairs as (
        select v.version_id, v.head_sha, v.compared_at, v.mr_id,
               lag(v.head_sha) over w as before, lag(v.version_id) over w as version_before,
               first_value(v.head_sha) over (partition by v.mr_id
                                                 order by v.created_at desc, v.version_id desc) as last_head
          from raw_mr_version v
         where v.project_id = %(project)s
           and v.mr_id in (select mr_id from raw_mr_version
                            where project_id = %(project)s and compared_at is null)
        window w as (partition by v.mr_id order by v.created_at, v.version_id)
    ), known as (
        select p.version_id, p.head_sha, p.before, p.version_before, p.last_head,
               k.position as kept, b.position as kept_before,
               m.target_branch is distinct from d.default_branch
               or exists (select from raw_commit c
                           where c.project_id = %(project)s and c.commit_id = p.before) as may_be_below
          from pairs p
          join raw_mr m using (mr_id)
          join dim_project d on d.project_id = %(project)s
          left join raw_mr_commit k on k.mr_id = p.mr_id and k.commit_id = p.head_sha
          left join raw_mr_commit b on b.mr_id = p.mr_id and b.commit_id = p.before
         where p.compared_at is null
    ), told as (
        select version_id,
               case when version_before is null or before = head_sha then false
                    when head_sha is null or before is null then null
                    when kept_before > kept then false
                    when head_sha = last_head and kept = 0 and kept_before is null and not may_be_below
                        then true
               end as rewrites,
               head_sha is null or before is null and version_before is not null as is_lost
          from known
    )
    update raw_mr_version v set rewrites = t.rewrites, compared_at = %(now)s, fetched_at = %(now)s
      from told t
     where v.version_id = t.version_id and (t.rewrites is not null or t.is_lost)
"""
_OPEN = """
    select version_id, before, head_sha
      from (select version_id, head_sha, compared_at,
                   lag(head_sha) over (partition by mr_id order by created_at, version_id) as before
              from raw_mr_version
             where project_id = %(project)s
               and mr_id in (select mr_id from raw_mr_version
                              where project_id = %(project)s and compared_at is null)) p
     where compared_at is null and before is not null and head_sha is not null
     order by version_id
"""


@dataclass(frozen=True)
class Ancestry:
    """For each version that nothing we know settles, the common ancestor of its head and the one before."""

    path: str
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """A page for each open pair; a pair that GitLab no longer knows is answered without a base."""
        told: dict[str, Any] = {"project": reading.place.project_id, "now": reading.client.server_time}
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, told)
            cursor.execute(_OPEN, told)
            pairs = cursor.fetchall()

        def ask(pair: tuple[int, str, str]) -> str | None:
            try:
                answer = reading.client.get(
                    reading.path(self.path), query={"refs[]": [pair[1], pair[2]]}, decode=msgspec.json.decode
                )
            except GitlabRefused:
                return None  # pruned: nobody can know any more
            return answer.value.get("id") if isinstance(answer.value, dict) else None

        for (version, before, _), base in ahead(ask, pairs, at_once=4):
            now = reading.client.server_time
            rewrites = None if base is None else base != before
            body = msgspec.json.encode({"version_id": version, "rewrites": rewrites})
            yield Page([(reading.reader.row(body), reading.saw(now))], now)


def settled(item: Any, document: Any, given: Any) -> Any:
    """When it was asked."""
    return given["now"]

"""The ledger of heads: where a protected branch stood whenever we looked. Only ever appended to."""

from __future__ import annotations

import datetime as dt

from django.db import connection

_OBSERVE = """
    insert into raw_branch_head (project_id, branch, head_sha, observed_at, fetched_at)
    select b.project_id, b.branch, b.head_sha, %(now)s, %(now)s
      from dim_branch b
      left join lateral (select h.head_sha
                           from raw_branch_head h
                          where h.project_id = b.project_id and h.branch = b.branch
                          order by h.observed_at desc
                          limit 1) last on true
     where b.project_id = %(project)s
       and (b.protected_flag or b.is_default)
       and b.head_sha is not null
       and b.head_sha is distinct from last.head_sha
    on conflict (project_id, branch, observed_at) do nothing
"""


def observe_heads(project_id: int, *, now: dt.datetime) -> None:
    """Write down each protected branch (and the default one) whose head is another than when last seen."""
    with connection.cursor() as cursor:
        cursor.execute(_OBSERVE, {"project": project_id, "now": now})

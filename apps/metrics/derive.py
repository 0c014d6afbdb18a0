"""Facts that a SELECT cannot say: patterns, graphs and lines of deployments. Rows in, rows out."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import semver
from django.db.backends.utils import CursorWrapper

from apps.metrics.graphs import Job, critical_path, mainline, positions, reaches
from apps.metrics.models import PlacedProject
from apps.metrics.rollbacks import Deployment, Revert, rollbacks

Rows = Iterator[Sequence[Any]]

NAMES = {
    "production_environment": """
        select environment from raw_deployment where project_id = %s and environment is not null
        union select name from raw_environment where project_id = %s
    """,
    "production_tag": "select tag_name from raw_tag where project_id = %s",
    "rollback_pattern": """
        select ref from raw_pipeline where project_id = %s and ref is not null
        union select name from raw_job where project_id = %s
    """,
}
"""Rule -> the names in a project that its pattern is held against, each once."""


def _rows(cursor: CursorWrapper, sql: str, project: int) -> list[tuple[Any, ...]]:
    cursor.execute(sql, [project] * sql.count("%s"))
    return cursor.fetchall()


def name_verdicts(cursor: CursorWrapper, placed: PlacedProject) -> Rows:
    """(project_id, rule, name, matches) for every name that a rule's pattern, or SemVer, judges."""
    for rule, sql in NAMES.items():
        pattern = re.compile(getattr(placed, rule))
        for (name,) in _rows(cursor, sql, placed.pk):
            yield placed.pk, rule, name, pattern.search(name) is not None
    for (name,) in _rows(cursor, NAMES["production_tag"], placed.pk):
        yield placed.pk, "semver", name, is_semver(name)


def is_semver(name: str) -> bool:
    """SemVer 2.0.0 after at most one leading v. Its digits are ASCII; the package takes any of Unicode's."""
    return name.isascii() and semver.Version.is_valid(name.removeprefix("v"))


def parents_of(cursor: CursorWrapper, project: int) -> dict[str, Sequence[str]]:
    """Every known commit of the default branch with its parents."""
    return dict(_rows(cursor, "select commit_id, parent_ids from raw_commit where project_id = %s", project))


def head_of(cursor: CursorWrapper, project: int, parents: Mapping[str, Sequence[str]]) -> str | None:
    """The default branch's head, else the youngest commit that is nobody's parent."""
    known = _rows(cursor, "select head_sha from dim_branch where project_id = %s and is_default", project)
    if known and known[0][0] in parents:
        return str(known[0][0])
    inner = {parent for several in parents.values() for parent in several}
    newest = "select commit_id from raw_commit where project_id = %s order by committed_at desc, commit_id"
    return next((commit for (commit,) in _rows(cursor, newest, project) if commit not in inner), None)


def link_positions(cursor: CursorWrapper, placed: PlacedProject) -> Rows:
    """(project_id, commit_id, position, is_mainline) of all commits reachable from the default branch."""
    parents = parents_of(cursor, placed.pk)
    head = head_of(cursor, placed.pk, parents)
    chain = set(mainline(head, parents))
    for commit, position in positions(head, parents).items():
        yield placed.pk, commit, position, commit in chain


_DEPLOYMENTS = """
    select d.deployment_key, d.at, d.pipeline_id, d.environment, l.position,
           d.pipeline_id in (
               select p.pipeline_id
                 from raw_pipeline p
                 join name_verdict v on v.project_id = p.project_id and v.name = p.ref
                where p.project_id = %s and v.rule = 'rollback_pattern' and v.matches
               union
               select j.pipeline_id
                 from raw_job j
                 join name_verdict v on v.project_id = j.project_id and v.name = j.name
                where j.project_id = %s and v.rule = 'rollback_pattern' and v.matches and j.status = 'success'
           ) as is_tagged
      from new_fact_deployment d
      left join link_position l on l.project_id = d.project_id and l.commit_id = d.sha
"""
_REVERTS = """
    select r.position, l.position
      from raw_commit c
      join link_position r using (project_id, commit_id)
      left join raw_mr m on m.project_id = c.project_id and m.iid = c.reverts_mr_iid and m.state = 'merged'
                         and m.deleted_at is null
      join link_position l
        on l.project_id = c.project_id
       and l.commit_id in (c.reverts_sha, coalesce(m.merge_commit_sha, m.squash_commit_sha, m.sha))
     where c.project_id = %s and (c.reverts_sha is not null or c.reverts_mr_iid is not null)
"""


def mark_rollbacks(cursor: CursorWrapper, placed: PlacedProject) -> None:
    """Write position and rollback of each staged deployment (table new_fact_deployment)."""
    deployments = [
        Deployment(key, at, pipeline, environment, position, bool(tagged))
        for key, at, pipeline, environment, position, tagged in _rows(cursor, _DEPLOYMENTS, placed.pk)
    ]
    reverts = [Revert(*row) for row in _rows(cursor, _REVERTS, placed.pk)]
    found = rollbacks(deployments, reverts, within=dt.timedelta(hours=placed.rollback_within_hours))
    marks = []
    for one in deployments:
        undone = found[one.key].undoes if one.key in found else None
        signal = found[one.key].signal if one.key in found else None
        length = (one.at - undone.at) // dt.timedelta(milliseconds=1) if undone else None
        marks.append(
            (one.position, signal is not None, signal, undone.key if undone else None, length, one.key)
        )
    cursor.executemany(
        "update new_fact_deployment"
        " set position = %s, is_rollback = %s, rollback_signal = %s, undoes_key = %s, rollback_ms = %s"
        " where deployment_key = %s",
        marks,
    )


_DAG_JOBS = """
    select pipeline_id, job_id, name, stage,
           case when finished_at >= started_at
                then (extract(epoch from finished_at - started_at) * 1000)::bigint end,
           coalesce(scheduling_type = 'dag', false), coalesce(needs, '{}')
      from raw_job
     where project_id = %s
       and pipeline_id in (select pipeline_id from raw_job where project_id = %s and scheduling_type = 'dag')
"""


def dag_paths(cursor: CursorWrapper, project: int) -> Rows:
    """(pipeline_id, critical path in ms) of pipelines with dag jobs."""
    jobs: dict[int, list[Job]] = defaultdict(list)
    for pipeline, *job in _rows(cursor, _DAG_JOBS, project):
        jobs[pipeline].append(Job(*job))
    for pipeline, attempts in jobs.items():
        yield pipeline, critical_path(attempts)


# A move that we saw for ourselves counts only where no push event tells of it: many branches that were pushed
# together have no events of their own.
_MOVES = """
    with push as (
        select e.* from raw_push_event e where e.project_id = %s and e.ref_type = 'branch'
    ),
    seen as (
        select h.id, h.branch, h.observed_at, h.head_sha,
               lag(h.head_sha) over w as old_sha, lag(h.observed_at) over w as since
          from raw_branch_head h
         where h.project_id = %s
        window w as (partition by h.branch order by h.observed_at)
    ),
    move as (
        select 'push:' || event_id as push_key, ref as branch, created_at as at, commit_from, commit_to
          from push
         where action = 'pushed'
         union all
        select 'head:' || s.id, s.branch, s.observed_at, s.old_sha, s.head_sha
          from seen s
         where not exists (
             select from push e
              where e.ref = s.branch and e.created_at > s.since and e.created_at <= s.observed_at
         )
    )
    select m.push_key, m.branch, m.at, m.commit_from, m.commit_to
      from move m
      join dim_branch b using (branch)
     where b.project_id = %s and b.protected_flag and m.commit_from is not null and m.commit_to is not null
"""


def force_pushes(cursor: CursorWrapper, project: int) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
    """(project_id, push_key, branch, at) of force pushes; (push_key, branch) of unknown ancestry."""
    parents = parents_of(cursor, project)
    forced: list[Sequence[Any]] = []
    unknown: list[Sequence[Any]] = []
    for key, branch, at, old, new in _rows(cursor, _MOVES, project):
        if new not in parents:
            unknown.append((key, branch))
        elif not reaches(new, old, parents):
            forced.append((project, key, branch, at))
    return forced, unknown

"""Facts that a SELECT cannot say: patterns, graphs and lines of deployments. Rows in, rows out."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import semver
from django.db.backends.utils import CursorWrapper

from apps.metrics.deliveries import Deployed, Landed, Mainline, first_inclusions
from apps.metrics.graphs import History, Job, longest, schedule
from apps.metrics.models import PlacedProject
from apps.metrics.rollbacks import Deployment, Revert, rollbacks

Rows = Iterator[Sequence[Any]]

_LABELS = """
    select distinct i.project_id, l.name
      from raw_issue i
     cross join jsonb_array_elements_text(i.labels) l(name)
     where jsonb_typeof(i.labels) = 'array' and i.project_id = any(%(projects)s)
"""
NAMES = {
    "production_environment": """
        select project_id, environment
          from raw_deployment
         where project_id = any(%(projects)s) and environment is not null
         union
        select project_id, name from raw_environment where project_id = any(%(projects)s)
    """,
    "production_tag": "select project_id, tag_name from raw_tag where project_id = any(%(projects)s)",
    "rollback_pattern": """
        with list as (
            select distinct project_id, jobs from fact_pipeline_jobs where project_id = any(%(projects)s)
        )
        select project_id, ref from raw_pipeline where project_id = any(%(projects)s) and ref is not null
         union
        select project_id, unnest(string_to_array(jobs, chr(31))) from list
    """,
    "bugs_label": _LABELS,
    "bugs_escape_label": _LABELS,
    "incidents_label": _LABELS,
}
"""Rule -> the names in projects that its pattern is held against, each once."""


def _rows(cursor: CursorWrapper, sql: str, projects: Sequence[int]) -> list[tuple[Any, ...]]:
    cursor.execute(sql, {"projects": list(projects)})
    return cursor.fetchall()


def _by_project(
    cursor: CursorWrapper, sql: str, projects: Sequence[int]
) -> Mapping[int, list[tuple[Any, ...]]]:
    """Rows by the project that their first column names, without it."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for project, *row in _rows(cursor, sql, projects):
        found[project].append(tuple(row))
    return found


def name_verdicts(cursor: CursorWrapper, placed: Sequence[PlacedProject]) -> Rows:
    """(project_id, rule, name, matches) for every name that a rule's pattern, or SemVer, judges."""
    projects = [one.pk for one in placed]
    for rule, sql in NAMES.items():
        patterns = {one.pk: re.compile(getattr(one, rule)) for one in placed}
        for project, name in _rows(cursor, sql, projects):
            yield project, rule, name, patterns[project].search(name) is not None
    for project, name in _rows(cursor, NAMES["production_tag"], projects):
        yield project, "semver", name, is_semver(name)


def is_semver(name: str) -> bool:
    """SemVer 2.0.0 after at most one leading v. Its digits are ASCII; the package takes any of Unicode's."""
    return name.isascii() and semver.Version.is_valid(name.removeprefix("v"))


_COMMITS = """
    select commit_id, parent_ids[1], parent_ids[2],
           case when cardinality(parent_ids) > 2 then parent_ids end,
           case when coalesce(reverts_sha, reverts_mr_iid::text) is not null
                then array[reverts_sha, reverts_mr_iid::text] end,
           case when committed_at > fetched_at + interval '1 hour' then committed_at end
      from raw_commit
     where project_id = any(%(projects)s)
"""


@dataclass(frozen=True)
class Commits:
    """Every known commit of a default branch: its parents, and what it says that it reverts (SHA, number).

    `future`: those that say they were committed after we had them, with when.
    """

    parents: dict[str, Sequence[str]]
    reverts: dict[str, tuple[str | None, str | None]]
    future: dict[str, dt.datetime]


def commits_of(cursor: CursorWrapper, project: int) -> Commits:
    """The commits of a project's default branch. One project's at a time fit in memory.

    The first two parents come as columns: to take apart an array for each commit costs more than all that
    follows.
    """
    commits = Commits({}, {}, {})
    for commit, first, second, several, reverts, future in _rows(cursor, _COMMITS, [project]):
        commits.parents[commit] = several or ((first, second) if second else (first,) if first else ())
        if reverts:
            commits.reverts[commit] = tuple(reverts)
        if future:
            commits.future[commit] = future
    return commits


def heads_of(cursor: CursorWrapper, projects: Sequence[int]) -> dict[int, str]:
    """Project -> the head of its default branch, where GitLab told it."""
    heads = """
        select project_id, head_sha
          from dim_branch
         where project_id = any(%(projects)s) and is_default and head_sha is not null
    """
    return dict(_rows(cursor, heads, projects))


def youngest(cursor: CursorWrapper, project: int, parents: Mapping[str, Sequence[str]]) -> str | None:
    """The youngest commit that is nobody's parent: the head, where it is not told."""
    inner = {parent for several in parents.values() for parent in several}
    newest = """
        select commit_id
          from raw_commit
         where project_id = any(%(projects)s)
         order by committed_at desc, commit_id
    """
    return next((commit for (commit,) in _rows(cursor, newest, [project]) if commit not in inner), None)


def history_of(
    cursor: CursorWrapper, project: int, parents: Mapping[str, Sequence[str]], *, head: str | None
) -> History:
    """The default branch's history; where GitLab's head is not known, up to the youngest commit."""
    return History(head if head in parents else youngest(cursor, project, parents), parents)


_DEPLOYMENTS = """
    with named as (
        select project_id, name
          from name_verdict
         where project_id = any(%(projects)s) and rule = 'rollback_pattern' and matches
    ),
    list as (
        select distinct project_id, jobs from fact_pipeline_jobs where project_id = any(%(projects)s)
    ),
    possible as (
        select j.pipeline_id
          from fact_pipeline_jobs j
          join (
              select distinct l.project_id, l.jobs
                from list l
               cross join unnest(string_to_array(l.jobs, chr(31))) job (name)
                join named n using (project_id, name)
          ) chosen using (project_id, jobs)
         where j.project_id = any(%(projects)s)
    ),
    tagged as (
        select p.project_id, p.pipeline_id
          from raw_pipeline p
          join named n on n.project_id = p.project_id and n.name = p.ref
         where p.project_id = any(%(projects)s)
         union
        select j.project_id, j.pipeline_id
          from raw_job j
          join named n using (project_id, name)
         where j.project_id = any(%(projects)s) and j.status = 'success'
           and j.pipeline_id = any(array(select pipeline_id from possible))
    )
    select d.project_id, d.deployment_key, d.at, d.pipeline_id, d.environment, d.position,
           t.pipeline_id is not null
      from new_fact_deployment d
      left join tagged t using (project_id, pipeline_id)
"""
_REVERTS = """
    with undone as (
        select r.project_id, r.position, u.commit_id
          from link_revert r
          left join raw_mr m
                 on m.project_id = any(%(projects)s) and m.project_id = r.project_id and m.iid = r.mr_iid
                and m.state = 'merged' and m.deleted_at is null
         cross join lateral unnest(
             array[r.sha, coalesce(m.merge_commit_sha, m.squash_commit_sha, m.sha)]
         ) as u (commit_id)
    )
    select u.project_id, u.position, l.position
      from undone u
      join link_position l using (project_id, commit_id)
"""


def marked_rollbacks(cursor: CursorWrapper, placed: Sequence[PlacedProject]) -> Rows:
    """(project_id, deployment_key, signal, key of what it undoes, ms until it did) of staged deployments."""
    projects = [one.pk for one in placed]
    reverts = _by_project(cursor, _REVERTS, projects)
    deployments = _by_project(cursor, _DEPLOYMENTS, projects)
    for one in placed:
        deployed = {row[0]: Deployment(*row) for row in deployments.get(one.pk, ())}
        known = [Revert(*row) for row in reverts.get(one.pk, ())]
        within = dt.timedelta(hours=one.rollback_within_hours)
        for key, found in rollbacks(deployed.values(), known, within=within).items():
            undone = found.undoes
            length = (deployed[key].at - undone.at) // dt.timedelta(milliseconds=1) if undone else None
            yield one.pk, key, found.signal, undone.key if undone else None, length


_SHAPES = """
    with example as (
        select shape, min(pipeline_id) as pipeline_id from link_dag group by shape
    )
    select e.shape, j.name, j.stage, coalesce(j.scheduling_type = 'dag', false), coalesce(j.needs, '{}')
      from example e
      join raw_job j using (pipeline_id)
     where j.project_id = any(%(projects)s)
     order by e.shape, j.job_id
"""


def dag_paths(cursor: CursorWrapper, projects: Sequence[int]) -> Rows:
    """(project_id, pipeline_id, critical path in ms) of pipelines with dag jobs (table link_dag)."""
    shapes: dict[str, list[Job]] = defaultdict(list)
    for shape, *job in _rows(cursor, _SHAPES, projects):
        shapes[shape].append(Job(*job))
    schedules = {shape: schedule(jobs) for shape, jobs in shapes.items()}
    paths = "select project_id, pipeline_id, shape, lengths_ms from link_dag"
    for project, pipeline, shape, lengths_ms in _rows(cursor, paths, projects):
        yield project, pipeline, longest(schedules[shape], lengths_ms)


# A move that we saw for ourselves counts only where no push event tells of it: many branches that were pushed
# together have no events of their own.
_MOVES = """
    with push as (
        select * from raw_push_event where project_id = any(%(projects)s) and ref_type = 'branch'
    ),
    seen as (
        select h.project_id, h.id, h.branch, h.observed_at, h.head_sha,
               lag(h.head_sha) over w as old_sha, lag(h.observed_at) over w as since
          from raw_branch_head h
         where h.project_id = any(%(projects)s)
        window w as (partition by h.project_id, h.branch order by h.observed_at)
    ),
    move as (
        select project_id, 'push:' || event_id as push_key, ref as branch, created_at as at,
               commit_from, commit_to
          from push
         where action = 'pushed'
         union all
        select s.project_id, 'head:' || s.id, s.branch, s.observed_at, s.old_sha, s.head_sha
          from seen s
         where not exists (
             select from push e
              where e.project_id = s.project_id and e.ref = s.branch
                and e.created_at > s.since and e.created_at <= s.observed_at
         )
    )
    select m.project_id, m.push_key, m.branch, m.at, m.commit_from, m.commit_to
      from move m
      join dim_branch b using (project_id, branch)
     where b.project_id = any(%(projects)s) and b.protected_flag
       and m.commit_from is not null and m.commit_to is not null
"""


def moves_of(cursor: CursorWrapper, projects: Sequence[int]) -> Mapping[int, list[tuple[Any, ...]]]:
    """Project -> (push_key, branch, at, old head, new head) of the moves of its protected branches."""
    return _by_project(cursor, _MOVES, projects)


def forced(moves: Iterable[Sequence[Any]], history: History) -> Iterator[tuple[tuple[Any, ...], bool | None]]:
    """Each move's (push_key, branch, at), and whether it left the old head behind; None: nobody can know."""
    for key, branch, at, old, new in moves:
        known = new in history.parents
        yield (key, branch, at), not history.reaches(new, old) if known else None


_DEPLOYED = """
    select d.project_id, d.deployment_key, d.at, coalesce(p.created_at, r.created_at, d.at), d.position
      from fact_deployment d
      left join raw_pipeline p
             on p.project_id = any(%(projects)s)
            and p.project_id = d.project_id and p.pipeline_id = d.pipeline_id
      left join raw_deployment r
             on r.project_id = any(%(projects)s)
            and r.project_id = d.project_id and d.deployment_key = 'deployment:' || r.deployment_id
     where d.project_id = any(%(projects)s)
"""
# A landing commit that is older than the graph stands before it.
_LANDED = """
    with graph as (
        select project_id, min(committed_at) as began_at
          from fact_commit
         where project_id = any(%(projects)s)
         group by project_id
    ),
    landed as (
        select m.project_id, m.mr_id, m.merged_at,
               coalesce(c.position, case when m.merged_at < g.began_at then 0 end) as position
          from raw_mr m
          join dim_project p using (project_id)
          left join graph g using (project_id)
          left join fact_commit c
                 on c.project_id = any(%(projects)s) and c.project_id = m.project_id
                and c.commit_id = coalesce(m.merge_commit_sha, m.squash_commit_sha, m.sha)
         where m.project_id = any(%(projects)s)
           and m.merged_at is not null and m.deleted_at is null and m.target_branch = p.default_branch
    )
    select project_id, mr_id, merged_at, position from landed where position is not null
"""
_MAINLINE = """
    select project_id, committed_at, position
      from fact_commit
     where project_id = any(%(projects)s) and is_mainline
"""
_CLOSING = "select distinct project_id, mr_id from raw_mr_issue where project_id = any(%(projects)s)"


def included(cursor: CursorWrapper, projects: Sequence[int]) -> Rows:
    """(project_id, mr_id, deployment_key, at, inferred, has_issue) of deployed merge requests."""
    deployed = _by_project(cursor, _DEPLOYED, projects)
    landed = _by_project(cursor, _LANDED, projects)
    closing = {mr for _, mr in _rows(cursor, _CLOSING, projects)}
    aside = [project for project, rows in deployed.items() if any(row[-1] is None for row in rows)]
    mainlines = _by_project(cursor, _MAINLINE, aside)
    for project, rows in deployed.items():
        found = first_inclusions(
            [Deployed(*row) for row in rows],
            [Landed(*row) for row in landed.get(project, ())],
            Mainline([(at, position) for at, position in mainlines.get(project, ())]),
        )
        for one in found:
            yield project, one.mr_id, one.key, one.at, one.inferred, one.mr_id in closing

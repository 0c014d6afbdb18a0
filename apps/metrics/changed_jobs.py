"""Which pipelines' jobs are to be looked at again: the database notes each change with the change itself."""

from __future__ import annotations

from django.db.backends.utils import CursorWrapper

MOST = 2_000
"""Pipelines that are worth being picked out; to read all jobs in their order costs less than to seek more."""

_NOTICED = """
    create temporary table noticed_change on commit drop as
    select id, pipeline_id from raw_job_change where project_id = any(%(projects)s)
"""
# What was never looked at is due as well, and what was said by another version of the definitions.
_DUE = """
    select pipeline_id from noticed_change
     union
    select p.pipeline_id
      from raw_pipeline p
      left join fact_pipeline_jobs j
             on j.project_id = any(%(projects)s)
            and j.project_id = p.project_id and j.pipeline_id = p.pipeline_id
     where p.project_id = any(%(projects)s) and j.words is distinct from %(words)s
     limit %(most)s
"""


def due(cursor: CursorWrapper, projects: list[int], *, words: int) -> list[int] | None:
    """The pipelines whose jobs changed since they were last looked at; None where that is as good as all.

    Read before any job is: a change that comes in between stays noted for the next build. Once a transaction.
    """
    cursor.execute(_NOTICED, {"projects": projects})
    cursor.execute(_DUE, {"projects": projects, "words": words, "most": MOST + 1})
    found = [pipeline for (pipeline,) in cursor.fetchall()]
    return found if len(found) <= MOST else None


def forget(cursor: CursorWrapper) -> None:
    """The facts now say what was noticed."""
    cursor.execute("delete from raw_job_change c using noticed_change n where c.id = n.id")
    cursor.execute("drop table noticed_change")

"""How long things take, and what slips through."""

from __future__ import annotations

from apps.metrics.registry.parts import CI, ISSUE_STATES, ISSUES
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Shape, Unit, Window

OBSERVABILITY: tuple[Metric, ...] = (
    Metric(
        key="pipeline_duration_avg_s",
        title="Pipeline duration (mean)",
        unit=Unit.SECONDS,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Mean of GitLab's duration (waiting excluded) over successful and failed pipelines.",
        aggregate=Aggregate.MEAN,
        entity="pipeline",
        needs=(*CI, "pipeline_details"),
        rows="""
            select project_id, pipeline_id as entity_id, created_at as at,
                   duration_sec::bigint * 1000 as value
              from fact_pipeline
             where status in ('success', 'failed') and not is_child and duration_sec is not null
        """,
        left_out="""
            select project_id, pipeline_id as entity_id, created_at as at, 'no_duration' as reason
              from fact_pipeline
             where status in ('success', 'failed') and not is_child and duration_sec is null
        """,
    ),
    Metric(
        key="pipeline_critical_path_avg_s",
        title="Pipeline critical path (mean)",
        unit=Unit.SECONDS,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Mean of the longest chain of job durations through needs and stages, over successful and "
        "failed pipelines.",
        aggregate=Aggregate.MEAN,
        entity="pipeline",
        needs=(*CI, "pipeline_details"),
        rows="""
            select project_id, pipeline_id as entity_id, created_at as at, critical_path_ms as value
              from fact_pipeline
             where status in ('success', 'failed') and not is_child and critical_path_ms is not null
        """,
        left_out="""
            select project_id, pipeline_id as entity_id, created_at as at, 'no_job_ran' as reason
              from fact_pipeline
             where status in ('success', 'failed') and not is_child and critical_path_ms is null
        """,
    ),
    Metric(
        key="flaky_job_rate",
        title="Flaky job rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Share of jobs on one commit, by name, in which a failed attempt was followed by a "
        "success.",
        aggregate=Aggregate.MEAN,
        entity="job_group",
        needs=(*CI, "pipeline_details"),
        rows="""
            select project_id, last_job_id as entity_id, at, is_flaky::int as value
              from fact_job_group
             union all
            select j.project_id, j.job_id, j.finished_at, 0
              from raw_job j
              join fact_pipeline p using (project_id, pipeline_id)
             where p.is_alone and j.status in ('success', 'failed') and j.finished_at is not null
        """,
        sums="""
            select project_id, at, is_flaky::int as value, 1 as n
              from fact_job_group
             union all
            select project_id, at, 0, jobs
              from fact_job_day
        """,
    ),
    Metric(
        key="issue_sla_breach_rate",
        title="Issue SLA breach rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Among issues with a target that are open, or were last closed in the window: the share "
        "that was open for longer than the target.",
        aggregate=Aggregate.MEAN,
        shape=Shape.MIXED,
        entity="issue",
        needs=ISSUE_STATES,
        rows="""
            with span as (
                select s.*, i.created_at + i.sla_ms * interval '1 millisecond' as due_at
                  from fact_issue_span s
                  join fact_issue i using (issue_id)
                 where i.sla_ms is not null
            )
            select project_id, issue_id as entity_id, to_at as at,
                   null::timestamptz as from_at, reopened_at as to_at, (to_at > due_at)::int as value
              from span
             where to_at is not null
             union all
            select project_id, issue_id, null, from_at, least(to_at, due_at + interval '1 microsecond'), 0
              from span
             where from_at <= due_at
             union all
            select project_id, issue_id, null,
                   greatest(from_at, due_at + interval '1 microsecond'), to_at, 1
              from span
             where to_at is null or to_at > due_at
        """,
    ),
    Metric(
        key="reopened_issue_rate",
        title="Reopened issue rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Among issues closed or reopened in the window, the share that was reopened in it.",
        aggregate=Aggregate.MEAN,
        shape=Shape.DISTINCT,
        entity="issue",
        needs=ISSUE_STATES,
        rows="""
            select project_id, issue_id as entity_id, at, is_reopening::int as value
              from fact_issue_event
        """,
    ),
    Metric(
        key="defect_escape_rate",
        title="Defect escape rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Share of bugs that carry the label of an escape, or were opened soon after a release of "
        "their project.",
        aggregate=Aggregate.MEAN,
        entity="issue",
        needs=(*ISSUES, "tags"),
        rows="""
            select project_id, issue_id as entity_id, created_at as at, (escaped_by is not null)::int as value
              from fact_issue
             where is_bug
        """,
    ),
)

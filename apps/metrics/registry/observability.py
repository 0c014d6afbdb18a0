"""How long things take, and what slips through."""

from __future__ import annotations

from apps.metrics.registry.parts import CI
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
    ),
    Metric(
        key="issue_sla_breach_rate",
        title="Issue SLA breach rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Share of issues with a target that were open longer than it. Not measured yet.",
        aggregate=Aggregate.MEAN,
        entity="issue",
    ),
    Metric(
        key="reopened_issue_rate",
        title="Reopened issue rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Among issues closed or reopened in the window, the share that was reopened. Not "
        "measured yet.",
        aggregate=Aggregate.MEAN,
        shape=Shape.DISTINCT,
        entity="issue",
    ),
    Metric(
        key="defect_escape_rate",
        title="Defect escape rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Share of bugs that were found in production or soon after a release. Not measured yet.",
        aggregate=Aggregate.MEAN,
        entity="issue",
    ),
)

"""Merge requests on their way."""

from __future__ import annotations

from apps.metrics.registry.parts import MR, MR_DETAILS, percentiles
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Shape, Unit, Window

CODE_REVIEW: tuple[Metric, ...] = (
    *percentiles(
        "mr_cycle_time",
        "MR cycle time",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="From the earliest authored commit of a merge request's last version until it was merged.",
        entity="mr",
        needs=MR_DETAILS,
        rows="""
            select project_id, mr_id as entity_id, merged_at as at, cycle_time_ms as value
              from fact_mr
             where cycle_time_ms > 0
        """,
        left_out="""
            select project_id, mr_id as entity_id, merged_at as at,
                   case when cycle_time_ms is null then 'no_first_commit'
                        when cycle_time_ms < 0 then 'negative_cycle_time' else 'zero_cycle_time' end as reason
              from fact_mr
             where merged_at is not null and coalesce(cycle_time_ms, 0) <= 0
        """,
    ),
    *percentiles(
        "time_to_first_review",
        "Time to first review",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="From the opening of a merge request until the first comment or approval by a person "
        "other "
        "than its author.",
        entity="mr",
        needs=MR_DETAILS,
        rows="""
            select project_id, mr_id as entity_id, first_review_at as at, review_wait_ms as value
              from fact_mr
             where review_wait_ms > 0
        """,
        left_out="""
            select project_id, mr_id as entity_id, coalesce(first_review_at, merged_at, created_at) as at,
                   case when review_wait_ms is null then 'no_review'
                        when review_wait_ms < 0 then 'negative_time_to_first_review'
                        else 'zero_time_to_first_review' end as reason
              from fact_mr
             where coalesce(review_wait_ms, 0) <= 0
        """,
    ),
    *percentiles(
        "time_in_review",
        "Time in review",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="From the first review of a merged merge request until the required approvals were "
        "reached "
        "for good, else until it was merged.",
        entity="mr",
        needs=MR_DETAILS,
        rows="""
            select project_id, mr_id as entity_id, merged_at as at, review_ms as value
              from fact_mr
             where review_ms >= 0
        """,
        left_out="""
            select project_id, mr_id as entity_id, merged_at as at,
                   case when review_ms is null then 'no_review' else 'negative_time_in_review' end as reason
              from fact_mr
             where merged_at is not null and coalesce(review_ms, -1) < 0
        """,
    ),
    Metric(
        key="rework_rate",
        title="Rework rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="Share of merged merge requests with more than one review round, or more force pushes "
        "than the rule allows.",
        aggregate=Aggregate.MEAN,
        entity="mr",
        needs=(*MR_DETAILS, "merge_request_versions"),
        rows="""
            select f.project_id, f.mr_id as entity_id, f.merged_at as at,
                   (f.review_rounds > 1 or f.force_pushes > p.rework_force_pushes)::int as value
              from fact_mr f
              join placed_project p using (project_id)
             where f.merged_at is not null and f.review_rounds is not null
        """,
        left_out="""
            select project_id, mr_id as entity_id, merged_at as at, 'versions_unknown' as reason
              from fact_mr
             where merged_at is not null and review_rounds is null
        """,
    ),
    Metric(
        key="mr_throughput_wk",
        title="MR throughput",
        unit=Unit.COUNT,
        window=Window.D7,
        competency=Competency.CODE_REVIEW,
        better=Direction.HIGHER,
        definition="Merge requests merged in the last seven days, into any branch.",
        aggregate=Aggregate.COUNT,
        entity="mr",
        min_sample=0,
        needs=MR,
        rows="""
            select project_id, mr_id as entity_id, merged_at as at, 1 as value
              from fact_mr
             where merged_at is not null
        """,
    ),
    Metric(
        key="wip_mr_count",
        title="Open MRs",
        unit=Unit.COUNT,
        window=Window.EOD,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="Merge requests that were open at the end of the day, drafts included.",
        aggregate=Aggregate.COUNT,
        shape=Shape.INTERVAL,
        entity="mr",
        min_sample=0,
        needs=MR,
        rows="""
            select project_id, mr_id as entity_id, from_at, to_at, 1 as value
              from fact_mr_span
        """,
    ),
    *percentiles(
        "wip_age",
        "Age of open MRs",
        unit=Unit.HOURS,
        window=Window.EOD,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="From the creation of each merge request that was open at the end of the day until then.",
        shape=Shape.AGE,
        entity="mr",
        needs=MR,
        rows="""
            select project_id, mr_id as entity_id, from_at, to_at, created_at as since
              from fact_mr_span
        """,
    ),
)

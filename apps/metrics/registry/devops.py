"""Delivery: deployments, releases, pipelines that pass."""

from __future__ import annotations

from apps.metrics.registry.parts import CI, MR_DETAILS, UNSEEN, percentiles
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Unit, Window

DEVOPS: tuple[Metric, ...] = (
    *percentiles(
        "lead_time",
        "Lead time for changes",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From the creation of an issue until the first production deployment that includes a "
        "merge request which closes it; it counts in the project that deployed.",
        entity="delivery",
        needs=(*CI, *MR_DETAILS, "commits"),
        unmeasured=UNSEEN,
        rows="""
            select project_id, issue_id as entity_id, at, lead_ms as value
              from fact_delivery
             where lead_ms > 0
        """,
        left_out="""
            select project_id, issue_id as entity_id, at,
                   case when lead_ms < 0 then 'negative_lead_time' else 'zero_lead_time' end as reason
              from fact_delivery
             where lead_ms <= 0
        """,
    ),
    Metric(
        key="release_cadence_wk",
        title="Release cadence",
        unit=Unit.COUNT,
        window=Window.D7,
        competency=Competency.DEVOPS,
        better=Direction.HIGHER,
        definition="Tags released in the last seven days; a tag without a release counts when its commit was "
        "committed.",
        aggregate=Aggregate.COUNT,
        entity="tag",
        min_sample=0,
        needs=("tags",),
        rows="""
            select project_id, tag_name as entity_id, at, 1 as value
              from fact_release
             where at is not null
        """,
    ),
    Metric(
        key="pipeline_success_rate",
        title="Pipeline success rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.HIGHER,
        definition="Successful pipelines among those that succeeded or failed, by the day they were created.",
        aggregate=Aggregate.MEAN,
        entity="pipeline",
        needs=CI,
        rows="""
            select project_id, pipeline_id as entity_id, created_at as at, (status = 'success')::int as value
              from fact_pipeline
             where status in ('success', 'failed') and not is_child
        """,
        left_out="""
            select project_id, pipeline_id as entity_id, created_at as at,
                   case when is_child then 'child_pipeline' else 'status_' || status end as reason
              from fact_pipeline
             where status not in ('success', 'failed') or is_child
        """,
    ),
    Metric(
        key="mean_time_to_green_h",
        title="Mean time to green",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From the end of a failed pipeline until the end of the next successful one on the same "
        "ref.",
        aggregate=Aggregate.MEAN,
        entity="pipeline",
        needs=CI,
        rows="""
            select project_id, pipeline_id as entity_id, green_at as at, mtg_ms as value
              from fact_pipeline
             where mtg_ms > 0
        """,
        left_out="""
            select project_id, pipeline_id as entity_id, coalesce(green_at, created_at) as at,
                   case when mtg_ms is null then 'not_green_since'
                        when mtg_ms < 0 then 'negative_time_to_green' else 'zero_time_to_green' end as reason
              from fact_pipeline
             where status = 'failed' and not is_child and coalesce(mtg_ms, 0) <= 0
        """,
    ),
    Metric(
        key="deployment_frequency_wk",
        title="Deployment frequency",
        unit=Unit.COUNT,
        window=Window.D7,
        competency=Competency.DEVOPS,
        better=Direction.HIGHER,
        definition="Production deployments in the last seven days, rollbacks included.",
        aggregate=Aggregate.COUNT,
        entity="deployment",
        min_sample=0,
        needs=CI,
        unmeasured=UNSEEN,
        rows="""
            select project_id, deployment_key as entity_id, at, 1 as value
              from fact_deployment
        """,
    ),
    Metric(
        key="rollback_incidence",
        title="Rollback incidence",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="Rollbacks among production deployments: tagged as one, of an older commit, or bringing a "
        "revert of what was just deployed.",
        aggregate=Aggregate.MEAN,
        entity="deployment",
        needs=CI,
        unmeasured=UNSEEN,
        rows="""
            select project_id, deployment_key as entity_id, at, is_rollback::int as value
              from fact_deployment
        """,
    ),
    Metric(
        key="rollback_time_p50_h",
        title="Rollback time (median)",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From the deployment that was undone until the rollback that undid it.",
        aggregate=Aggregate.P50,
        entity="deployment",
        needs=CI,
        unmeasured=UNSEEN,
        rows="""
            select project_id, deployment_key as entity_id, at, rollback_ms as value
              from fact_deployment
             where is_rollback and rollback_ms > 0
        """,
        left_out="""
            select project_id, deployment_key as entity_id, at,
                   case when rollback_ms is null then 'nothing_known_before'
                        when rollback_ms < 0 then 'negative_rollback_time'
                        else 'zero_rollback_time' end as reason
              from fact_deployment
             where is_rollback and coalesce(rollback_ms, 0) <= 0
        """,
    ),
)

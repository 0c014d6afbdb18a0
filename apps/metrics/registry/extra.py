"""Beyond the inventory: DORA's four as its report has them, and how others define the lead time."""

from __future__ import annotations

from apps.metrics.registry.parts import CI, ISSUES, MR_DETAILS, UNSEEN, percentiles
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Unit, Window

_DEPLOYED = (*CI, *MR_DETAILS, "commits")

EXTRA: tuple[Metric, ...] = (
    *percentiles(
        "lead_time_first_commit",
        "Lead time from first commit",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From the earliest authored commit of a merge request until the first production "
        "deployment that includes it, by the day of the deployment; DORA's lead time for changes.",
        entity="mr",
        extra=True,
        needs=_DEPLOYED,
        unmeasured=UNSEEN,
        rows="""
            select d.project_id, d.mr_id as entity_id, d.at,
                   (extract(epoch from d.at - m.merged_at) * 1000)::bigint + m.cycle_time_ms as value
              from fact_mr_deployment d
              join fact_mr m using (mr_id)
             where (extract(epoch from d.at - m.merged_at) * 1000)::bigint + m.cycle_time_ms > 0
        """,
    ),
    *percentiles(
        "lead_time_merge",
        "Lead time from merge",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From the merge of a merge request until the first production deployment that includes "
        "it, by the day of the deployment; what GitLab's own DORA figures and DevLake print.",
        entity="mr",
        extra=True,
        needs=_DEPLOYED,
        unmeasured=UNSEEN,
        rows="""
            select d.project_id, d.mr_id as entity_id, d.at,
                   (extract(epoch from d.at - m.merged_at) * 1000)::bigint as value
              from fact_mr_deployment d
              join fact_mr m using (mr_id)
             where d.at > m.merged_at
        """,
    ),
    Metric(
        key="deployed_with_issue_ratio",
        title="Deployed with an issue",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.HIGHER,
        definition="Share of the merge requests that first went to production in the window which close an "
        "issue: how much of the work the lead time from issues speaks of.",
        aggregate=Aggregate.MEAN,
        entity="mr",
        extra=True,
        needs=_DEPLOYED,
        unmeasured=UNSEEN,
        rows="""
            select project_id, mr_id as entity_id, at, has_issue::int as value
              from fact_mr_deployment
        """,
    ),
    Metric(
        key="change_failure_rate",
        title="Change failure rate",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="Among production deployments that are no rollbacks: the share that was rolled back or "
        "reverted, or after which an incident was opened in the project before its next deployment and "
        "within the hours of the rule.",
        aggregate=Aggregate.MEAN,
        entity="deployment",
        extra=True,
        needs=(*CI, *ISSUES),
        unmeasured=UNSEEN,
        rows="""
            select d.project_id, d.deployment_key as entity_id, d.at,
                   (f.deployment_key is not null)::int as value
              from fact_deployment d
              left join fact_failure f using (project_id, deployment_key)
             where not d.is_rollback
        """,
    ),
    Metric(
        key="failed_deployment_recovery_p50_h",
        title="Failed deployment recovery time (median)",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From a production deployment that failed until the rollback that undid it, else until "
        "the last incident it led to was closed; by the day of the recovery.",
        aggregate=Aggregate.P50,
        entity="deployment",
        extra=True,
        needs=(*CI, *ISSUES),
        unmeasured=UNSEEN,
        rows="""
            select project_id, deployment_key as entity_id, recovered_at as at, recovery_ms as value
              from fact_failure
             where recovery_ms > 0
        """,
    ),
)

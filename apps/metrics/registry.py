"""THE metric table. Definitions are those of METRICS.md section 3; nothing else names a metric."""

from __future__ import annotations

from apps.metrics.words import Aggregate, Competency, Direction, Metric, Shape, Unit, Window

_MR, _CI = ("merge_requests",), ("pipelines",)
_MR_DETAILS = ("merge_requests", "merge_request_details")
_TIERLESS = """
    select project_id, 'not_on_this_tier'
      from fact_mr
     where merged_at is not null
     group by project_id
    having count(approvals_required) = 0
"""
# A deployment that we may not see could turn the default rule from one kind of evidence to another.
_UNSEEN = """
    select level_id, unavailable
      from ingestion_state
     where level = 'project' and entity = 'deployments' and unavailable = 'no_access'
"""


def _percentiles(key: str, title: str, **columns: object) -> tuple[Metric, Metric]:
    """The median and the 90th percentile of one sample."""
    return (
        Metric(key=f"{key}_p50_h", title=f"{title} (median)", aggregate=Aggregate.P50, **columns),  # type: ignore[arg-type]
        Metric(key=f"{key}_p90_h", title=f"{title} (90th percentile)", aggregate=Aggregate.P90, **columns),  # type: ignore[arg-type]
    )


METRICS: tuple[Metric, ...] = (
    *_percentiles(
        "lead_time",
        "Lead time for changes",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.DEVOPS,
        better=Direction.LOWER,
        definition="From the creation of an issue until the first production deployment that includes a "
        "merge "
        "request which closes it. Not measured yet.",
        entity="issue",
    ),
    *_percentiles(
        "mr_cycle_time",
        "MR cycle time",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="From the earliest authored commit of a merge request's last version until it was merged.",
        entity="mr",
        needs=_MR_DETAILS,
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
    *_percentiles(
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
        needs=_MR_DETAILS,
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
    *_percentiles(
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
        needs=_MR_DETAILS,
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
        "than "
        "the rule allows. Not measured yet.",
        aggregate=Aggregate.MEAN,
        entity="mr",
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
        needs=_MR,
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
        needs=_MR,
        rows="""
            select project_id, mr_id as entity_id, from_at, to_at, 1 as value
              from fact_mr_span
        """,
    ),
    *_percentiles(
        "wip_age",
        "Age of open MRs",
        unit=Unit.HOURS,
        window=Window.EOD,
        competency=Competency.CODE_REVIEW,
        better=Direction.LOWER,
        definition="From the creation of each merge request that was open at the end of the day until then.",
        shape=Shape.AGE,
        entity="mr",
        needs=_MR,
        rows="""
            select project_id, mr_id as entity_id, from_at, to_at, created_at as since
              from fact_mr_span
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
        key="semver_valid_ratio",
        title="Valid SemVer tags",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.HIGHER,
        definition="Share of the tags released in the window whose name, after at most one leading v, is "
        "valid "
        "SemVer 2.0.0.",
        aggregate=Aggregate.MEAN,
        entity="tag",
        needs=("tags",),
        rows="""
            select project_id, tag_name as entity_id, at, is_semver::int as value
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
        needs=_CI,
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
        needs=_CI,
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
        key="pipeline_duration_avg_s",
        title="Pipeline duration (mean)",
        unit=Unit.SECONDS,
        window=Window.D30,
        competency=Competency.OBSERVABILITY,
        better=Direction.LOWER,
        definition="Mean of GitLab's duration (waiting excluded) over successful and failed pipelines.",
        aggregate=Aggregate.MEAN,
        entity="pipeline",
        needs=(*_CI, "pipeline_details"),
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
        needs=(*_CI, "pipeline_details"),
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
        needs=(*_CI, "pipeline_details"),
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
        needs=_CI,
        unmeasured=_UNSEEN,
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
        needs=_CI,
        unmeasured=_UNSEEN,
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
        needs=_CI,
        unmeasured=_UNSEEN,
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
    Metric(
        key="direct_pushes_default",
        title="Direct pushes to the default branch",
        unit=Unit.COUNT,
        window=Window.D1,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="Commits on the default branch that are no merge, belong to no merged merge request and "
        "are "
        "not a bot's, by the day they were committed.",
        aggregate=Aggregate.COUNT,
        entity="commit",
        min_sample=0,
        needs=("commits", *_MR_DETAILS),
        rows="""
            select project_id, commit_id as entity_id, committed_at as at, 1 as value
              from fact_commit
             where is_direct_push
        """,
        left_out="""
            select project_id, commit_id as entity_id, committed_at as at,
                   'merge_or_merge_request_or_bot' as reason
              from fact_commit
             where not is_direct_push
        """,
    ),
    Metric(
        key="force_pushes_protected",
        title="Force pushes to protected branches",
        unit=Unit.COUNT,
        window=Window.D1,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="Moves of a protected branch to a commit that does not have the old head in its history.",
        aggregate=Aggregate.COUNT,
        entity="push",
        min_sample=0,
        needs=("branches", "push_events"),
        rows="""
            select project_id, push_key as entity_id, at, 1 as value
              from fact_force_push
        """,
    ),
    Metric(
        key="approval_bypass_ratio",
        title="Approval bypass ratio",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="Share of merged merge requests that needed approvals and went in with fewer.",
        aggregate=Aggregate.MEAN,
        entity="mr",
        needs=_MR_DETAILS,
        unmeasured=_TIERLESS,
        rows="""
            select project_id, mr_id as entity_id, merged_at as at,
                   (approvals_given < approvals_required)::int as value
              from fact_mr
             where merged_at is not null and approvals_required > 0
        """,
        left_out="""
            select project_id, mr_id as entity_id, merged_at as at,
                   case when approvals_required is null then 'approvals_unknown'
                        else 'no_approval_required' end as reason
              from fact_mr
             where merged_at is not null and coalesce(approvals_required, 0) = 0
        """,
    ),
    Metric(
        key="signed_commit_ratio",
        title="Signed commit ratio",
        unit=Unit.RATIO,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.HIGHER,
        definition="Share of the commits on the default branch that carry a GPG, SSH or X.509 signature.",
        aggregate=Aggregate.MEAN,
        entity="commit",
        needs=("commits",),
    ),
    *_percentiles(
        "branch_ttl",
        "Branch lifetime",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="From the creation of a merge request's source branch until it was merged or removed. Not "
        "measured yet.",
        entity="mr",
    ),
    Metric(
        key="branch_ttl_over_30d_count",
        title="Branches older than 30 days",
        unit=Unit.COUNT,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="Branches that took more than 30 days, and open ones that are older. Not measured yet.",
        aggregate=Aggregate.COUNT,
        entity="mr",
        min_sample=0,
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

_BY_KEY = {metric.key: metric for metric in METRICS}


def by_key(key: str) -> Metric:
    """The metric of that key. Raises KeyError, whose message lists the keys there are."""
    try:
        return _BY_KEY[key]
    except KeyError:
        raise KeyError(f"{key} is no metric; there are: {', '.join(_BY_KEY)}") from None

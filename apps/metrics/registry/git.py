"""Git hygiene: tags, pushes, approvals, signatures, branches."""

from __future__ import annotations

from apps.metrics.registry.parts import MR_DETAILS, TIERLESS, percentiles
from apps.metrics.words import Aggregate, Competency, Direction, Metric, Shape, Unit, Window

GIT: tuple[Metric, ...] = (
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
        needs=("commits", *MR_DETAILS),
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
        needs=MR_DETAILS,
        unmeasured=TIERLESS,
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
        needs=("commits", "signatures"),
        rows="""
            select project_id, commit_id as entity_id, committed_at as at, is_signed::int as value
              from fact_commit
             where is_signed is not null
        """,
        left_out="""
            select project_id, commit_id as entity_id, committed_at as at, 'signature_unknown' as reason
              from fact_commit
             where is_signed is null
        """,
    ),
    *percentiles(
        "branch_ttl",
        "Branch lifetime",
        unit=Unit.HOURS,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="From the creation of a merge request's source branch until it was merged or removed.",
        entity="mr",
        needs=MR_DETAILS,
        rows="""
            select project_id, mr_id as entity_id, ended_at as at, ttl_ms as value
              from fact_branch
             where ttl_ms > 0
        """,
        left_out="""
            select project_id, mr_id as entity_id, ended_at as at,
                   case when ttl_ms < 0 then 'negative_branch_ttl' else 'zero_branch_ttl' end as reason
              from fact_branch
             where ttl_ms <= 0
        """,
    ),
    Metric(
        key="branch_ttl_over_30d_count",
        title="Branches older than 30 days",
        unit=Unit.COUNT,
        window=Window.D30,
        competency=Competency.GIT,
        better=Direction.LOWER,
        definition="Source branches that ended after more than 30 days, and those of merge requests still "
        "open that are older.",
        aggregate=Aggregate.COUNT,
        shape=Shape.MIXED,
        entity="mr",
        min_sample=0,
        needs=MR_DETAILS,
        rows="""
            select project_id, mr_id as entity_id, ended_at as at,
                   null::timestamptz as from_at, null::timestamptz as to_at, 1 as value
              from fact_branch
             where ttl_ms > 2592000000
             union all
            select b.project_id, b.mr_id, null,
                   greatest(s.from_at, b.started_at + interval '720 hours 1 microsecond'),
                   least(s.to_at, b.ended_at), 1
              from fact_branch b
              join fact_mr_span s using (mr_id)
             where greatest(s.from_at, b.started_at + interval '720 hours')
                   < coalesce(least(s.to_at, b.ended_at), 'infinity')
        """,
    ),
)

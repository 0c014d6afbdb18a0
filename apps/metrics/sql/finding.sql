-- What cannot be true, by entity: it left its sample (METRICS.md, Guards).
with length as (
    select project_id, 'cycle_time' as what, 'mr' as entity, mr_id::text as entity_id,
           cycle_time_ms as length_ms, true as zero_too
      from fact_mr where project_id = any(%(projects)s)
     union all
    select project_id, 'time_to_first_review', 'mr', mr_id::text, review_wait_ms, true
      from fact_mr where project_id = any(%(projects)s)
     union all
    select project_id, 'time_in_review', 'mr', mr_id::text, review_ms, false
      from fact_mr where project_id = any(%(projects)s)
     union all
    select project_id, 'time_to_green', 'pipeline', pipeline_id::text, mtg_ms, true
      from fact_pipeline where project_id = any(%(projects)s)
     union all
    select project_id, 'rollback_time', 'deployment', deployment_key, rollback_ms, true
      from fact_deployment where project_id = any(%(projects)s) and is_rollback
     union all
    select project_id, 'job_duration', 'job', job_id::text,
           (extract(epoch from finished_at - started_at) * 1000)::bigint, false
      from raw_job
     where project_id = any(%(projects)s) and finished_at < started_at
       and pipeline_id = any(array(
           select pipeline_id from fact_pipeline_jobs where project_id = any(%(projects)s) and is_odd
       ))
     union all
    select project_id, 'lead_time', 'issue', issue_id::text, lead_ms, true
      from fact_delivery where project_id = any(%(projects)s)
     union all
    select project_id, 'branch_ttl', 'mr', mr_id::text, ttl_ms, true
      from fact_branch where project_id = any(%(projects)s)
     union all
    select project_id, 'merge_request_life', 'mr', mr_id::text,
           (extract(epoch from coalesce(merged_at, closed_at) - created_at) * 1000)::bigint, false
      from raw_mr
     where project_id = any(%(projects)s) and deleted_at is null and coalesce(merged_at, closed_at) < created_at
     union all
    select project_id, 'issue_life', 'issue', issue_id::text,
           (extract(epoch from closed_at - created_at) * 1000)::bigint, false
      from raw_issue
     where project_id = any(%(projects)s) and deleted_at is null and closed_at < created_at
     union all
    select project_id, 'pipeline_life', 'pipeline', pipeline_id::text,
           (extract(epoch from finished_at - created_at) * 1000)::bigint, false
      from raw_pipeline
     where project_id = any(%(projects)s) and deleted_at is null and finished_at < created_at
),
moment as (  -- GitLab's clocks are near ours; those of people who commit may be anywhere
    select project_id, 'future_release' as kind, 'tag' as entity, tag_name as entity_id, released_at as at
      from raw_release
     where project_id = any(%(projects)s) and released_at > fetched_at
     union all
    select project_id, 'future_commit', 'commit', commit_id, committed_at from future_commit
     union all
    select project_id, 'future_mr', 'mr', mr_id::text, greatest(created_at, merged_at, closed_at)
      from raw_mr
     where project_id = any(%(projects)s) and deleted_at is null
       and greatest(created_at, merged_at, closed_at) > fetched_at + interval '1 hour'
     union all
    select project_id, 'future_pipeline', 'pipeline', pipeline_id::text, greatest(created_at, finished_at)
      from raw_pipeline
     where project_id = any(%(projects)s) and deleted_at is null
       and greatest(created_at, finished_at) > fetched_at + interval '1 hour'
     union all
    select project_id, 'future_issue', 'issue', issue_id::text, greatest(created_at, closed_at)
      from raw_issue
     where project_id = any(%(projects)s) and deleted_at is null
       and greatest(created_at, closed_at) > fetched_at + interval '1 hour'
),
version as (
    select *, row_number() over (partition by project_id, mr_id order by created_at, version_id) as nth
      from raw_mr_version
     where project_id = any(%(projects)s)
)
select project_id,
       case when length_ms < 0 then 'negative_' else 'zero_' end || what as kind,
       entity, entity_id, length_ms || ' ms' as detail
  from length
 where length_ms < 0 or (length_ms = 0 and zero_too)
 union all
select project_id, 'ancestry_unknown', 'push', push_key, branch from unknown_push
 union all
select project_id, 'ancestry_unknown', 'mr', mr_id::text, count(*) || ' pushes'
  from version
 where nth > 1 and rewrites is null and compared_at is not null
 group by project_id, mr_id
 union all
select project_id, kind, entity, entity_id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  from moment

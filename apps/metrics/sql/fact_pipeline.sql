-- One row per pipeline. Time to green: from its failure to the next success on the same literal ref.
with pipeline as (
    select p.project_id, p.pipeline_id, p.ref, p.status, p.created_at, p.duration_sec,
           coalesce(p.source, '') = 'parent_pipeline' as is_child,
           coalesce(p.finished_at, p.updated_at) as ended_at
      from raw_pipeline p
     where p.project_id = any(%(projects)s) and p.deleted_at is null
),
next_green as (
    select project_id, pipeline_id, status,
           min(pipeline_id) filter (where status = 'success') over (
               partition by project_id, ref order by pipeline_id desc
               rows between unbounded preceding and 1 preceding
           ) as green_pipeline_id
      from pipeline
     where not is_child and ref is not null and status in ('success', 'failed')
),
flaky as (
    select distinct a.project_id, a.pipeline_id
      from link_attempt a
      join fact_job_group g using (project_id, sha, name)
     where g.project_id = any(%(projects)s) and g.is_flaky
),
prod as (
    select project_id, pipeline_id, bool_or(is_rollback) as is_rollback
      from fact_deployment
     where project_id = any(%(projects)s) and pipeline_id is not null
     group by project_id, pipeline_id
)
select p.pipeline_id, p.project_id, p.is_child, p.status, p.created_at,
       p.ended_at as finished_at,
       d.pipeline_id is not null as is_prod,
       coalesce(d.is_rollback, false) as is_rollback,
       f.pipeline_id is not null as is_flaky_candidate,
       s.pipeline_id is null as is_alone,
       p.duration_sec,
       j.critical_path_ms,
       g.pipeline_id as green_pipeline_id,
       g.ended_at as green_at,
       (extract(epoch from g.ended_at - p.ended_at) * 1000)::bigint as mtg_ms,
       floor(extract(epoch from g.ended_at - p.ended_at))::int as mtg_seconds
  from pipeline p
  left join next_green n
         on n.project_id = p.project_id and n.pipeline_id = p.pipeline_id and n.status = 'failed'
  left join pipeline g on g.project_id = p.project_id and g.pipeline_id = n.green_pipeline_id
  left join flaky f on f.project_id = p.project_id and f.pipeline_id = p.pipeline_id
  left join link_shared s on s.project_id = p.project_id and s.pipeline_id = p.pipeline_id
  left join prod d on d.project_id = p.project_id and d.pipeline_id = p.pipeline_id
  left join fact_pipeline_jobs j
         on j.project_id = any(%(projects)s) and j.project_id = p.project_id and j.pipeline_id = p.pipeline_id

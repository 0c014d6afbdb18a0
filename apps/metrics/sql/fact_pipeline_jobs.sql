-- One row per due pipeline that has jobs. Where a job was tried again its last attempt counts for the critical path;
-- that of pipelines with dag jobs is no matter for a SELECT.
with last_attempt as (
    select distinct on (project_id, pipeline_id, name) project_id, pipeline_id, stage,
           case when finished_at >= started_at then finished_at - started_at end as length
      from raw_job
     where project_id = any(%(projects)s)
       and pipeline_id = any(array(select pipeline_id from link_jobs where is_retried and not is_dag))
     order by project_id, pipeline_id, name, job_id desc
),
longest as (
    select project_id, pipeline_id, max(length) as length
      from last_attempt
     group by project_id, pipeline_id, stage
),
tried_again as (
    select project_id, pipeline_id, (extract(epoch from sum(length)) * 1000)::bigint as critical_path_ms
      from longest
     group by project_id, pipeline_id
)
select j.pipeline_id, j.project_id, j.jobs, j.is_retried, j.is_dag, j.is_odd, j.ended, j.first_ended_at,
       j.last_ended_at,
       case when j.is_retried then t.critical_path_ms when not j.is_dag then j.stages_ms end as critical_path_ms,
       %(words)s::int as words
  from link_jobs j
  left join tried_again t using (project_id, pipeline_id)

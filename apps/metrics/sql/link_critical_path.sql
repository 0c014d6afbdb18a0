-- Critical paths of pipelines without dag jobs. Where a job was tried again its last attempt counts.
with last_attempt as (
    select distinct on (project_id, pipeline_id, name) project_id, pipeline_id, stage, length
      from link_attempt
     where is_retried and not is_dag
     order by project_id, pipeline_id, name, job_id desc
),
longest as (
    select project_id, pipeline_id, max(length) as length
      from last_attempt
     group by project_id, pipeline_id, stage
)
select project_id, pipeline_id, (extract(epoch from sum(length)) * 1000)::bigint as critical_path_ms
  from longest
 group by project_id, pipeline_id
 union all
select project_id, pipeline_id, stages_ms
  from link_jobs
 where not is_retried and not is_dag and stages_ms is not null

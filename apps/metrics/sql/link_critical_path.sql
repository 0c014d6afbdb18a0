-- Critical paths of pipelines without dag jobs. Where a job was tried again its last attempt counts.
with attempt as (
    select j.project_id, j.pipeline_id, j.stage, j.started_at, j.finished_at,
           row_number() over (partition by j.project_id, j.pipeline_id, j.name order by j.job_id desc) as nth
      from raw_job j
      join link_jobs l using (project_id, pipeline_id)
     where j.project_id = any(%(projects)s) and l.is_retried and not l.is_dag
),
longest as (
    select project_id, pipeline_id, stage,
           max((extract(epoch from finished_at - started_at) * 1000)::bigint) as length_ms
      from attempt
     where nth = 1 and finished_at >= started_at
     group by project_id, pipeline_id, stage
)
select project_id, pipeline_id, sum(length_ms)::bigint as critical_path_ms
  from longest
 group by project_id, pipeline_id
 union all
select project_id, pipeline_id, stages_ms
  from link_jobs
 where not is_retried and not is_dag and stages_ms is not null

-- Critical paths of pipelines without dag jobs: stages follow each other, so each gives its longest job.
with dag as (
    select distinct project_id, pipeline_id
      from raw_job
     where project_id = any(%(projects)s) and scheduling_type = 'dag'
),
attempt as (
    select j.project_id, j.pipeline_id, j.stage, j.started_at, j.finished_at,
           row_number() over (partition by j.project_id, j.pipeline_id, j.name order by j.job_id desc) as nth
      from raw_job j
      left join dag d using (project_id, pipeline_id)
     where j.project_id = any(%(projects)s) and d.pipeline_id is null
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

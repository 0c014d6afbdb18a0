-- Critical paths of pipelines without dag jobs: stages follow each other, so each gives its longest job.
with attempt as (
    select pipeline_id, stage, name, job_id, started_at, finished_at,
           row_number() over (partition by pipeline_id, name order by job_id desc) as nth
      from raw_job
     where project_id = %(project)s
       and pipeline_id not in (select pipeline_id from raw_job where project_id = %(project)s and scheduling_type = 'dag')
),
longest as (
    select pipeline_id, stage, max((extract(epoch from finished_at - started_at) * 1000)::bigint) as length_ms
      from attempt
     where nth = 1 and finished_at >= started_at
     group by pipeline_id, stage
)
select pipeline_id, sum(length_ms)::bigint as critical_path_ms from longest group by pipeline_id

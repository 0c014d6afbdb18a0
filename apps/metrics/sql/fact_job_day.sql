-- Jobs of pipelines that stand alone, by the local day on which they ended: what the roll-up adds up. Few pipelines
-- run past midnight; only their jobs are looked at one by one.
with alone as (
    select j.project_id, j.pipeline_id, j.ended,
           date_trunc('day', j.first_ended_at, %(zone)s) as first_day,
           date_trunc('day', j.last_ended_at, %(zone)s) as last_day
      from fact_pipeline_jobs j
      join fact_pipeline p using (project_id, pipeline_id)
     where j.project_id = any(%(projects)s) and p.project_id = any(%(projects)s) and p.is_alone and j.ended > 0
),
part as (
    select project_id, first_day as at, ended as jobs from alone where first_day = last_day
     union all
    select project_id, date_trunc('day', finished_at, %(zone)s), 1
      from raw_job
     where project_id = any(%(projects)s)
       and pipeline_id = any(array(select pipeline_id from alone where first_day < last_day))
       and status in ('success', 'failed') and finished_at is not null
)
select project_id, at, sum(jobs)::int as jobs
  from part
 group by project_id, at

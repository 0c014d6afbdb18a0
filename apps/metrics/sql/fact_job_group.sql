-- All attempts of a job name on a SHA that ended in success or failure; flaky: a failure followed by a success.
with attempt as (
    select project_id, sha, name, job_id, status, finished_at,
           row_number() over (partition by sha, name order by finished_at, job_id) as nth
      from raw_job
     where project_id = %(project)s
       and status in ('success', 'failed') and finished_at is not null and sha is not null
       and pipeline_id not in (
           select pipeline_id from raw_pipeline where project_id = %(project)s and deleted_at is not null
       )
)
select project_id, sha, name,
       max(finished_at) as at,
       (array_agg(job_id order by nth desc))[1] as last_job_id,
       coalesce(min(nth) filter (where status = 'failed') < max(nth) filter (where status = 'success'), false)
           as is_flaky
  from attempt
 group by project_id, sha, name

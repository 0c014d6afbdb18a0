-- All attempts of a job name on a SHA that ended in success or failure; flaky: a failure followed by a success.
with attempt as (
    select j.project_id, j.sha, j.name, j.job_id, j.status, j.finished_at,
           row_number() over (partition by j.project_id, j.sha, j.name order by j.finished_at, j.job_id) as nth
      from raw_job j
     where j.project_id = any(%(projects)s)
       and j.status in ('success', 'failed') and j.finished_at is not null and j.sha is not null
       and not exists (
           select from raw_pipeline p
            where p.project_id = j.project_id and p.pipeline_id = j.pipeline_id and p.deleted_at is not null
       )
)
select project_id, sha, name,
       max(finished_at) as at,
       (array_agg(job_id order by nth desc))[1] as last_job_id,
       coalesce(min(nth) filter (where status = 'failed') < max(nth) filter (where status = 'success'), false)
           as is_flaky
  from attempt
 group by project_id, sha, name

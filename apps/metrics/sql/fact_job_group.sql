-- Attempts of a job name on a SHA that ended in success or failure; flaky: a failure followed by a success. A job
-- of a pipeline that stands alone on its SHA is a group of its own and has no row here.
select project_id, sha, name,
       max(finished_at) as at,
       (array_agg(job_id order by nth desc))[1] as last_job_id,
       coalesce(min(nth) filter (where status = 'failed') < max(nth) filter (where status = 'success'), false)
           as is_flaky
  from link_attempt
 where ended and sha is not null
 group by project_id, sha, name

-- The jobs of those pipelines; those that ended in success or failure are numbered in the order in which they did.
select s.project_id, s.sha, j.pipeline_id, j.job_id, j.name, j.status, j.finished_at, e.ended,
       row_number() over (partition by s.project_id, s.sha, j.name, e.ended order by j.finished_at, j.job_id) as nth
  from raw_job j
  join link_shared s using (project_id, pipeline_id)
 cross join lateral (select j.status in ('success', 'failed') and j.finished_at is not null as ended) e
 where j.project_id = any(%(projects)s) and j.pipeline_id = any(array(select pipeline_id from link_shared))

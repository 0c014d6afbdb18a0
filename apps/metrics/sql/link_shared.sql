-- Pipelines on SHAs where a job name may have more attempts than one: by a retry, or in several pipelines.
with run as (
    select p.project_id, p.pipeline_id, p.sha, coalesce(l.is_retried, false) as is_retried
      from raw_pipeline p
      left join link_jobs l using (project_id, pipeline_id)
     where p.project_id = any(%(projects)s) and p.deleted_at is null and p.sha is not null
),
shared as (
    select project_id, sha
      from run
     group by project_id, sha
    having count(*) > 1 or bool_or(is_retried)
)
select r.project_id, r.pipeline_id, r.sha
  from run r
  join shared s using (project_id, sha)

-- Pipelines with a retry, and those that share their SHA: there a job name may have more attempts than one.
with run as (
    select p.project_id, p.pipeline_id, p.sha, coalesce(j.is_retried, false) as is_retried
      from raw_pipeline p
      left join fact_pipeline_jobs j
             on j.project_id = any(%(projects)s) and j.project_id = p.project_id and j.pipeline_id = p.pipeline_id
     where p.project_id = any(%(projects)s) and p.deleted_at is null
),
shared as (
    select project_id, sha
      from run
     group by project_id, sha
    having count(sha) > 1 or bool_or(is_retried)
)
select r.project_id, r.pipeline_id, r.sha
  from run r
  left join shared s using (project_id, sha)
 where r.is_retried or s.project_id is not null

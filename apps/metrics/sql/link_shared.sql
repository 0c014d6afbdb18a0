-- Pipelines with a retry, and those that share their SHA: there a job name may have more attempts than one.
with run as (
    select p.project_id, p.pipeline_id, p.sha, coalesce(l.is_retried, false) as is_retried,
           coalesce(l.is_dag, false) as is_dag
      from raw_pipeline p
      left join link_jobs l using (project_id, pipeline_id)
     where p.project_id = any(%(projects)s) and p.deleted_at is null
),
shared as (
    select project_id, sha
      from run
     group by project_id, sha
    having count(sha) > 1 or bool_or(is_retried)
)
select r.project_id, r.pipeline_id, r.sha, r.is_retried, r.is_dag
  from run r
  left join shared s using (project_id, sha)
 where r.is_retried or s.project_id is not null

-- The PRD's columns of raw tables that are derived (METRICS.md section 5), written where they differ.
with mr as (
    update raw_mr m
       set approvals_required = f.approvals_required, approvals_given = f.approvals_given,
           first_review_at = f.first_review_at
      from fact_mr f
     where f.project_id = m.project_id and f.mr_id = m.mr_id
       and f.project_id = any(%(projects)s) and m.project_id = any(%(projects)s)
       and (m.approvals_required, m.approvals_given, m.first_review_at)
           is distinct from (f.approvals_required, f.approvals_given, f.first_review_at)
),
first_production as (
    select distinct on (project_id, pipeline_id) project_id, pipeline_id, environment
      from link_production
     order by project_id, pipeline_id, at, deployment_id
),
first_of_all as (
    select distinct on (project_id, pipeline_id) project_id, pipeline_id, environment
      from raw_deployment
     where project_id = any(%(projects)s)
     order by project_id, pipeline_id, coalesce(finished_at, updated_at, created_at), deployment_id
),
place as (
    select p.project_id, p.pipeline_id, coalesce(f.environment, a.environment) as environment
      from raw_pipeline p
      left join first_production f using (project_id, pipeline_id)
      left join first_of_all a using (project_id, pipeline_id)
     where p.project_id = any(%(projects)s)
),
pipeline as (
    update raw_pipeline p
       set environment = place.environment
      from place
     where place.project_id = p.project_id and place.pipeline_id = p.pipeline_id
       and p.project_id = any(%(projects)s)
       and p.environment is distinct from place.environment
),
reopened as (
    select i.project_id, i.issue_id, count(e.issue_id) filter (where e.state = 'reopened')::int as times
      from raw_issue i
      left join raw_issue_event e
             on e.project_id = any(%(projects)s) and e.project_id = i.project_id and e.issue_id = i.issue_id
     where i.project_id = any(%(projects)s)
     group by i.project_id, i.issue_id
)
update raw_issue i
   set reopened_count = r.times
  from reopened r
 where i.project_id = any(%(projects)s)
   and r.project_id = i.project_id and r.issue_id = i.issue_id and i.reopened_count is distinct from r.times

-- The PRD's columns of raw tables that are derived (METRICS.md section 5), written where they differ.
with mr as (
    update raw_mr m
       set approvals_required = f.approvals_required, approvals_given = f.approvals_given,
           first_review_at = f.first_review_at
      from fact_mr f
     where f.mr_id = m.mr_id and f.project_id = %(project)s
       and (m.approvals_required, m.approvals_given, m.first_review_at)
           is distinct from (f.approvals_required, f.approvals_given, f.first_review_at)
),
place as (
    select p.pipeline_id,
           coalesce(
               (select e.environment from link_production e
                 where e.pipeline_id = p.pipeline_id order by e.at, e.deployment_id limit 1),
               (select d.environment from raw_deployment d
                 where d.project_id = p.project_id and d.pipeline_id = p.pipeline_id
                 order by coalesce(d.finished_at, d.updated_at, d.created_at), d.deployment_id limit 1)
           ) as environment
      from raw_pipeline p
     where p.project_id = %(project)s
),
pipeline as (
    update raw_pipeline p
       set environment = place.environment
      from place
     where place.pipeline_id = p.pipeline_id and p.environment is distinct from place.environment
),
reopened as (
    select i.issue_id, count(e.issue_id) filter (where e.state = 'reopened')::int as times
      from raw_issue i
      left join raw_issue_event e using (project_id, issue_id)
     where i.project_id = %(project)s
     group by i.issue_id
)
update raw_issue i
   set reopened_count = r.times
  from reopened r
 where r.issue_id = i.issue_id and i.reopened_count is distinct from r.times

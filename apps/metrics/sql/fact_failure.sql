-- Deployments that failed: rolled back, or followed by an incident before the next one and within the rule's hours.
with line as (
    select d.project_id, d.deployment_key, d.at, d.is_rollback,
           lead(d.at) over (partition by d.project_id order by d.at, d.deployment_key) as next_at,
           d.at + p.incidents_within_hours * interval '1 hour' as watched_until
      from fact_deployment d
      join placed_project p using (project_id)
     where d.project_id = any(%(projects)s)
),
undone as (
    select project_id, undoes_key as deployment_key, min(at) as recovered_at
      from fact_deployment
     where project_id = any(%(projects)s) and is_rollback and undoes_key is not null
     group by project_id, undoes_key
),
incident as (
    select i.project_id, i.issue_id, i.iid, i.created_at, r.closed_at
      from fact_issue i
      join raw_issue r using (project_id, issue_id)
     where i.project_id = any(%(projects)s) and r.project_id = any(%(projects)s) and i.is_incident
),
broken as (
    select l.project_id, l.deployment_key,
           min(array[extract(epoch from i.created_at), i.iid]) as first_opened,
           case when bool_and(i.closed_at is not null) then max(i.closed_at) end as recovered_at
      from incident i
      join line l on l.project_id = i.project_id
     where l.at <= i.created_at and i.created_at < coalesce(least(l.next_at, l.watched_until), l.watched_until)
     group by l.project_id, l.deployment_key
)
select l.project_id, l.deployment_key, l.at,
       case when u.deployment_key is not null then 'rollback' else 'incident #' || b.first_opened[2]::bigint end as failed_by,
       coalesce(u.recovered_at, b.recovered_at) as recovered_at,
       (extract(epoch from coalesce(u.recovered_at, b.recovered_at) - l.at) * 1000)::bigint as recovery_ms
  from line l
  left join undone u using (project_id, deployment_key)
  left join broken b using (project_id, deployment_key)
 where not l.is_rollback and (u.deployment_key is not null or b.deployment_key is not null)

-- Each issue's first way to production, over all projects: the earliest deployment of a merge request that closes it.
-- If several of them went out with that deployment, the one merged last stands for it.
with link as (
    select l.mr_id, l.issue_iid,
           case when l.issue_project ~ '^[0-9]{1,18}$' then l.issue_project::bigint else p.project_id end as issue_project
      from raw_mr_issue l
      left join dim_project p on p.path_with_namespace = l.issue_project
),
issue as (
    select issue_id, project_id, iid, created_at
      from raw_issue
     where deleted_at is null and moved_to_id is null and coalesce(issue_type, 'issue') in ('issue', 'incident')
)
select distinct on (i.issue_id)
       i.issue_id, d.project_id, d.mr_id, d.deployment_key, d.at,
       (extract(epoch from d.at - i.created_at) * 1000)::bigint as lead_ms
  from fact_mr_deployment d
  join fact_mr m using (mr_id)
  join link l using (mr_id)
  join issue i on i.project_id = l.issue_project and i.iid = l.issue_iid
 where d.project_id = any(%(projects)s)
 order by i.issue_id, d.at, d.project_id, d.deployment_key, m.merged_at desc, d.mr_id desc

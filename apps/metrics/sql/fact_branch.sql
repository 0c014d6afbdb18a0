-- The life of each merge request's source branch (METRICS.md, branch_ttl). What a fork's pushes were is not known.
with own as (
    select m.*, m.source_project_id is not distinct from m.project_id as is_here
      from raw_mr m
     where m.project_id = any(%(projects)s) and m.deleted_at is null
),
push as (
    select project_id, ref, action, created_at
      from raw_push_event
     where project_id = any(%(projects)s) and ref_type = 'branch' and action in ('created', 'removed')
),
made as (
    select m.mr_id, max(p.created_at) as at
      from own m
      join push p on p.project_id = m.project_id and p.ref = m.source_branch
     where m.is_here and p.action = 'created' and p.created_at <= m.created_at
     group by m.mr_id
),
removed as (
    select m.mr_id, min(p.created_at) as at
      from own m
      join push p on p.project_id = m.project_id and p.ref = m.source_branch
     where m.is_here and p.action = 'removed' and p.created_at > m.created_at
     group by m.mr_id
),
first_commit as (
    select mr_id, min(authored_at) as at
      from raw_mr_commit
     where project_id = any(%(projects)s)
     group by mr_id
),
life as (
    select m.mr_id, m.project_id,
           coalesce(c.at, least(f.at, m.created_at)) as started_at,
           case when m.merged_at is not null then m.merged_at else coalesce(r.at, m.closed_at) end as ended_at
      from own m
      left join made c using (mr_id)
      left join removed r using (mr_id)
      left join first_commit f using (mr_id)
)
select mr_id, project_id, started_at, ended_at,
       (extract(epoch from ended_at - started_at) * 1000)::bigint as ttl_ms
  from life

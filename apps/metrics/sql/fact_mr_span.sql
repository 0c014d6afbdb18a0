-- When each merge request was open: by its state events, made consistent with the state it is in now.
with mark as (
    select project_id, mr_id, created_at as at, true as opens
      from raw_mr
     where project_id = any(%(projects)s)
     union all
    select e.project_id, e.mr_id, e.at, e.kind = 'reopened'
      from raw_mr_event e
      join raw_mr m using (project_id, mr_id)
     where e.project_id = any(%(projects)s) and m.project_id = any(%(projects)s)
       and e.kind in ('closed', 'reopened', 'merged') and e.at > m.created_at
     union all
    select project_id, mr_id, coalesce(merged_at, closed_at, updated_at), false
      from raw_mr
     where project_id = any(%(projects)s) and state in ('closed', 'merged')
),
believed as (
    select k.*
      from (
          select *, max(at) filter (where opens) over (partition by project_id, mr_id) as last_opened from mark
      ) k
      join raw_mr m using (project_id, mr_id)
     where m.project_id = any(%(projects)s)
       and (k.opens or m.state in ('closed', 'merged') or k.at < k.last_opened)
),
change as (
    select *, opens is distinct from lag(opens) over (partition by project_id, mr_id order by at, opens) as counts
      from believed
),
span as (
    select project_id, mr_id, at as from_at, opens,
           lead(at) over (partition by project_id, mr_id order by at, opens) as to_at
      from change
     where counts
)
select m.project_id, s.mr_id, m.created_at, s.from_at, s.to_at
  from span s
  join raw_mr m using (project_id, mr_id)
 where m.project_id = any(%(projects)s) and m.deleted_at is null
   and s.opens and (s.to_at is null or s.to_at > s.from_at)

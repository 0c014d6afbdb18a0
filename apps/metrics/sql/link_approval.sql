-- How many approvals by others an open or just merged merge request had, after each change of their number.
with said as (
    select e.project_id, e.mr_id, e.actor_user_id, e.at, e.kind = 'approved' as approved
      from raw_mr_event e
      join raw_mr m using (project_id, mr_id)
     where e.project_id = any(%(projects)s) and m.project_id = any(%(projects)s)
       and e.kind in ('approved', 'unapproved')
       and e.at is not null
       and (m.merged_at is null or e.at <= m.merged_at)
       and e.actor_user_id is distinct from m.author_user_id
),
change as (
    select *, approved is distinct from coalesce(
                  lag(approved) over (partition by project_id, mr_id, actor_user_id order by at, approved), false
              ) as counts
      from said
)
select project_id,
       mr_id,
       at,
       sum(case when approved then 1 else -1 end) over w as given,
       row_number() over w as nth
  from change
 where counts
window w as (
    partition by project_id, mr_id order by at, approved desc, actor_user_id rows unbounded preceding
)

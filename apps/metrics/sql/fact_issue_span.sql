-- When each issue was open: by its state events, made consistent with the state it is in now.
with mark as (
    select project_id, issue_id, created_at as at, true as opens
      from fact_issue
     where project_id = any(%(projects)s)
     union all
    select e.project_id, e.issue_id, e.at, e.state = 'reopened'
      from raw_issue_event e
      join fact_issue i using (project_id, issue_id)
     where e.project_id = any(%(projects)s) and i.project_id = any(%(projects)s)
       and e.state in ('closed', 'reopened') and e.at > i.created_at
     union all
    select project_id, issue_id, coalesce(closed_at, updated_at), false
      from raw_issue
     where project_id = any(%(projects)s) and state = 'closed'
),
believed as (
    select k.*
      from (
          select *, max(at) filter (where opens) over (partition by project_id, issue_id) as last_opened from mark
      ) k
      join raw_issue i using (project_id, issue_id)
     where i.project_id = any(%(projects)s) and (k.opens or i.state = 'closed' or k.at < k.last_opened)
),
change as (
    select *, opens is distinct from lag(opens) over (partition by project_id, issue_id order by at, opens) as counts
      from believed
),
span as (
    select project_id, issue_id, at as from_at, opens, lead(at) over w as to_at, lead(at, 2) over w as reopened_at
      from change
     where counts
    window w as (partition by project_id, issue_id order by at, opens)
)
select s.project_id, s.issue_id, s.from_at, s.to_at, s.reopened_at
  from span s
  join fact_issue i using (project_id, issue_id)
 where i.project_id = any(%(projects)s) and s.opens and (s.to_at is null or s.to_at > s.from_at)

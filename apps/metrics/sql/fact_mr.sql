-- One row per merge request: cycle time, reviews and approvals as of its merge.
with first_commit as (
    select project_id, mr_id, min(authored_at) as started_at
      from raw_mr_commit
     where project_id = any(%(projects)s)
     group by project_id, mr_id
),
review_event as (
    select e.project_id, e.mr_id, e.at
      from raw_mr_event e
      join raw_mr m using (project_id, mr_id)
     where e.project_id = any(%(projects)s) and m.project_id = any(%(projects)s)
       and e.kind in ('note', 'approved')
       and e.at >= m.created_at
       and (m.merged_at is null or e.at <= m.merged_at)
       and e.actor_user_id is not null
       and e.actor_user_id is distinct from m.author_user_id
       and not exists (select from bot b where b.user_id = e.actor_user_id)
),
review as (
    select project_id, mr_id, min(at) as first_review_at
      from review_event
     group by project_id, mr_id
),
version as (
    select project_id, mr_id, rewrites, created_at,
           row_number() over w as nth,
           lead(created_at) over w as until
      from raw_mr_version
     where project_id = any(%(projects)s)
    window w as (partition by project_id, mr_id order by created_at, version_id)
),
rounds as (  -- an event before the first version counts as the first
    select project_id, mr_id, count(*) as rounds
      from (
          select e.project_id, e.mr_id, coalesce(v.nth, 1) as nth
            from review_event e
            left join version v
                   on v.project_id = e.project_id and v.mr_id = e.mr_id
                  and v.created_at <= e.at and (v.until is null or e.at < v.until)
           group by 1, 2, 3
      ) reviewed
     group by project_id, mr_id
),
forced as (
    select project_id, mr_id, count(*) filter (where rewrites and nth > 1) as force_pushes
      from version
     group by project_id, mr_id
),
pushed_again as (  -- what was never pushed to has one version, and GitLab is not asked for it
    select distinct project_id, mr_id
      from raw_mr_event
     where project_id = any(%(projects)s) and kind = 'commit'
),
reworked as (
    select m.project_id, m.mr_id,
           coalesce(r.rounds, 0)::int as rounds,
           coalesce(f.force_pushes, 0)::int as force_pushes
      from raw_mr m
      left join rounds r using (project_id, mr_id)
      left join forced f using (project_id, mr_id)
      left join pushed_again a using (project_id, mr_id)
     where m.project_id = any(%(projects)s) and (m.versions_at is not null or a.mr_id is null)
),
untimed as (
    select e.project_id, e.mr_id, count(distinct e.actor_user_id) as given
      from raw_mr_event e
      join raw_mr m using (project_id, mr_id)
     where e.project_id = any(%(projects)s) and m.project_id = any(%(projects)s)
       and e.kind = 'approved' and e.at is null
       and e.actor_user_id is distinct from m.author_user_id
       and not exists (
           select from raw_mr_event t
            where t.project_id = any(%(projects)s) and t.project_id = e.project_id and t.mr_id = e.mr_id and t.actor_user_id = e.actor_user_id
              and t.kind in ('approved', 'unapproved') and t.at is not null
       )
     group by e.project_id, e.mr_id
),
given as (
    select distinct on (project_id, mr_id) project_id, mr_id, given
      from link_approval
     order by project_id, mr_id, nth desc
),
needed as (
    select m.project_id, m.mr_id,
           case when m.gitlab_approvals_required is null and p.approvals_minimum = 0 then null
                else greatest(coalesce(m.gitlab_approvals_required, 0), p.approvals_minimum)
           end as required,
           p.rules_version
      from raw_mr m
      join placed_project p using (project_id)
     where m.project_id = any(%(projects)s)
),
met as (
    select a.project_id, a.mr_id, max(a.at) as met_at
      from (
          select *, lag(given, 1, 0::bigint) over (partition by project_id, mr_id order by nth) as before
            from link_approval
      ) a
      join needed n using (project_id, mr_id)
      join given g using (project_id, mr_id)
     where a.given >= n.required and a.before < n.required and g.given >= n.required and n.required > 0
     group by a.project_id, a.mr_id
)
select m.mr_id, m.project_id, m.iid, m.created_at, m.merged_at, r.first_review_at, t.met_at as approvals_met_at,
       (extract(epoch from m.merged_at - c.started_at) * 1000)::bigint as cycle_time_ms,
       round(extract(epoch from m.merged_at - c.started_at) / 3600, 4) as cycle_time_hours,
       (extract(epoch from r.first_review_at - m.created_at) * 1000)::bigint as review_wait_ms,
       round(extract(epoch from r.first_review_at - m.created_at) / 3600, 4) as review_wait_hours,
       case when m.merged_at is not null then (extract(epoch from
           case when t.met_at >= r.first_review_at then t.met_at else m.merged_at end - r.first_review_at
       ) * 1000)::bigint end as review_ms,
       w.rounds as review_rounds, w.force_pushes,
       greatest(w.rounds - 1, 0) + w.force_pushes as rework_count,
       m.lines_added, m.lines_removed,
       n.required as approvals_required,
       coalesce(g.given, 0) + coalesce(u.given, 0) as approvals_given,
       n.rules_version
  from raw_mr m
  join needed n using (project_id, mr_id)
  left join first_commit c using (project_id, mr_id)
  left join review r using (project_id, mr_id)
  left join given g using (project_id, mr_id)
  left join untimed u using (project_id, mr_id)
  left join met t using (project_id, mr_id)
  left join reworked w using (project_id, mr_id)
 where m.project_id = any(%(projects)s) and m.deleted_at is null

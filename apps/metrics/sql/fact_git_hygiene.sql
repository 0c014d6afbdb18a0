-- The PRD's daily counts; a day only where something happened.
with happened as (
    select project_id, (committed_at at time zone %(zone)s)::date as day,
           is_direct_push::int as direct, 0 as forced, (not is_signed)::int as unsigned
      from fact_commit
     where project_id = any(%(projects)s)
     union all
    select project_id, (at at time zone %(zone)s)::date, 0, 1, 0
      from fact_force_push
     where project_id = any(%(projects)s)
)
select project_id, day,
       sum(direct)::int as direct_pushes_default,
       sum(forced)::int as force_pushes_protected,
       case when count(unsigned) = count(*) then sum(unsigned)::int end as unsigned_commit_count
  from happened
 group by project_id, day
having sum(direct) + sum(forced) + coalesce(sum(unsigned), 0) > 0

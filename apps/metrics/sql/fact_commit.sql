-- Commits reachable from the default branch. A direct push belongs to no merged merge request and is no merge.
with by_merge_request as (
    select project_id, unnest(array[sha, merge_commit_sha, squash_commit_sha]) as commit_id
      from raw_mr
     where project_id = any(%(projects)s) and state = 'merged' and deleted_at is null
     union
    select c.project_id, c.commit_id
      from raw_mr_commit c
      join raw_mr m using (project_id, mr_id)
     where c.project_id = any(%(projects)s) and m.project_id = any(%(projects)s) and m.state = 'merged' and m.deleted_at is null
)
select c.project_id, c.commit_id, c.committed_at, c.is_signed, p.position, p.is_mainline,
       cardinality(c.parent_ids) < 2
           and m.commit_id is null
           and b.user_id is null
           and coalesce(c.author_name <> all (%(bots)s), true) as is_direct_push
  from raw_commit c
  join link_position p using (project_id, commit_id)
  left join by_merge_request m using (project_id, commit_id)
  left join bot b on b.user_id = c.author_user_id
 where c.project_id = any(%(projects)s)

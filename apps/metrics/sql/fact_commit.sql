-- Commits reachable from the default branch. A direct push belongs to no merged merge request and is no merge.
with by_merge_request as (
    select unnest(array[sha, merge_commit_sha, squash_commit_sha]) as commit_id
      from raw_mr
     where project_id = %(project)s and state = 'merged' and deleted_at is null
     union
    select c.commit_id
      from raw_mr_commit c
      join raw_mr m using (project_id, mr_id)
     where c.project_id = %(project)s and m.state = 'merged' and m.deleted_at is null
)
select c.project_id, c.commit_id, c.committed_at, c.is_signed,
       cardinality(c.parent_ids) < 2
           and c.commit_id not in (select commit_id from by_merge_request where commit_id is not null)
           and coalesce(c.author_user_id not in (select user_id from bot), true)
           and coalesce(c.author_name <> all (%(bots)s), true) as is_direct_push
  from raw_commit c
  join link_position p using (project_id, commit_id)
 where c.project_id = %(project)s

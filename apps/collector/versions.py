"""Versions of merge requests: when which head was pushed.

Push events, which are read in bulk, tell all of it for branches of the same project; GitLab is asked only
for forks and for what events do not cover.
"""

# Pushes to the source branch while the merge request was open, each beginning where the one before ended; as
# many as it has notes of added commits, and no push of many refs at once among them, which would hide one.
# Versions made of events have negative numbers; the first one is the head from which the first push set out.
FROM_PUSHES = """
    with due as (
        select m.mr_id, m.project_id, m.source_branch, m.created_at, m.merged_at
          from raw_mr m
          join ingestion_state s on s.level = 'project' and s.level_id = m.project_id
                                and s.entity = 'push_events' and s.unavailable = ''
         where m.project_id = %(project)s and m.state = 'merged' and m.versions_at is null
           and m.detail_at >= m.updated_at and m.source_project_id = m.project_id
           and s.history_from <= m.created_at and s.last_run_at >= m.merged_at
           and not exists (select from raw_push_event b
                            where b.project_id = m.project_id and b.ref is null
                              and b.created_at between m.created_at and m.merged_at)
    ), pushes as (
        select d.mr_id, d.created_at as opened_at,
               e.event_id, e.created_at, e.commit_from, e.commit_to, e.action,
               lag(e.commit_to) over w as before, row_number() over w as number
          from due d
          join raw_push_event e on e.project_id = d.project_id and e.ref_type = 'branch'
                               and e.ref = d.source_branch
                               and e.created_at > d.created_at and e.created_at <= d.merged_at
        window w as (partition by d.mr_id order by e.created_at, e.event_id)
    ), sound as (
        select p.mr_id
          from pushes p
         group by p.mr_id
        having bool_and(p.action = 'pushed' and p.commit_from is not null and p.commit_to is not null
                        and (p.number = 1 or p.commit_from = p.before))
           and count(*) >= (select count(*) from raw_mr_event n
                             where n.project_id = %(project)s and n.mr_id = p.mr_id and n.kind = 'commit')
    ), versions as (
        select -2 * event_id as version_id, mr_id, commit_to as head_sha, created_at from pushes
        union all
        select -2 * event_id - 1, mr_id, commit_from, opened_at from pushes where number = 1
    ), known as (
        insert into raw_mr_version (version_id, project_id, mr_id, head_sha, created_at, fetched_at)
        select v.version_id, %(project)s, v.mr_id, v.head_sha, v.created_at, %(now)s
          from versions v
          join sound using (mr_id)
         order by v.version_id
            on conflict (version_id) do nothing
    )
    update raw_mr m set versions_at = %(now)s
      from sound s
     where m.mr_id = s.mr_id
"""

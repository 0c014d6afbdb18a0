-- Raw rows of the reference size, the same every time: %(mrs)s merge requests and so on over %(projects)s projects.
-- `u` is evenly spread over [0, 1) and hangs on its arguments only; `sha` is commit j of step k of a mainline (0: the
-- one on it). Step k is the landing of merge request k, or a direct push where that did not land.
drop table if exists pg_temp.size, pg_temp.step, pg_temp.run;
create or replace function pg_temp.u(n bigint, salt int) returns float8 immutable language sql as
    $$ select (hashint8extended(n, salt) & 2147483647) / 2147483648.0 $$;
create or replace function pg_temp.sha(project bigint, k bigint, j int) returns text immutable language sql as
    $$ select md5(project || ':' || k || ':' || j) || left(md5(j || ':' || k), 8) $$;
create or replace function pg_temp.moment(share float8) returns timestamptz immutable language sql as
    $$ select date_trunc('milliseconds', %(start)s::timestamptz + share * %(days)s * interval '1 day') $$;
insert into dim_user (user_id, username, name, is_bot, fetched_at)
select n, 'user-' || n, 'Author ' || n, n %% 50 = 0, now() from generate_series(1, 400) n
on conflict do nothing;

create temporary table size as
with weight as (
    select n, %(first)s + n as project_id, power(n, -0.85) / sum(power(n, -0.85)) over () as w
      from generate_series(1, %(projects)s) n
),
amount as (
    select n, project_id,
           ceil(w * %(mrs)s)::bigint as mrs, ceil(w * %(pipelines)s)::bigint as pipelines,
           ceil(w * %(issues)s)::bigint as issues, ceil(w * %(tags)s)::bigint as tags
      from weight
)
select *,
       (array['merge', 'squash', 'ff'])[1 + (n - 1) %% 3] as style,
       (array[14, 1, 12])[1 + (n - 1) %% 3] as brought,
       n %% 7 = 2 as is_dag,
       n %% 2 = 1 as has_environments,
       (%(base)s + sum(mrs) over w - mrs)::bigint as mr_base,
       (%(base)s + sum(pipelines) over w - pipelines)::bigint as pipeline_base,
       (%(base)s + sum(issues) over w - issues)::bigint as issue_base
  from amount
window w as (order by n rows unbounded preceding);

insert into dim_project (project_id, path_with_namespace, default_branch, active_flag, namespace_kind,
                         archived, in_scope, web_url, fetched_at)
select project_id, format('toman/line-%%s/team-%%s/repo-%%s', n %% 4, n %% 12, project_id), 'main', true, 'group',
       false, true, 'https://gitlab.example.org/repo-' || project_id, pg_temp.moment(1)
  from size;

insert into dim_branch (project_id, branch, protected_flag, is_default, head_sha, fetched_at)
select project_id, 'main', true, true, pg_temp.sha(project_id, mrs, 0), pg_temp.moment(1) from size;

create temporary table step as
select s.project_id, s.style, s.brought, k, s.mr_base + k as mr_id,
       pg_temp.moment(k::float8 / s.mrs) as landed_at,
       pg_temp.moment(k::float8 / s.mrs) - (1 - ln(1 - pg_temp.u(s.mr_base + k, 1)) * 30) * interval '1 hour'
           as created_at,
       case when pg_temp.u(s.mr_base + k, 2) < 0.85 then 'merged'
            when k < s.mrs - 20 then 'closed' else 'opened' end as state
  from size s, generate_series(1, s.mrs) k;
analyze step;

insert into raw_mr (mr_id, project_id, iid, author_user_id, state, draft, source_branch, target_branch, sha,
                    merge_commit_sha, squash_commit_sha, created_at, updated_at, merged_at, closed_at, labels,
                    lines_added, lines_removed, gitlab_approvals_required, fetched_at)
select mr_id, project_id, k, 1 + mr_id %% 400, state, false, 'feature-' || k,
       case when mr_id %% 20 = 0 then 'release' else 'main' end,
       pg_temp.sha(project_id, k, case style when 'merge' then brought when 'squash' then 99 else 0 end),
       case when state = 'merged' and style <> 'ff' then pg_temp.sha(project_id, k, 0) end,
       case when state = 'merged' and style = 'squash' then pg_temp.sha(project_id, k, 1) end,
       created_at, landed_at, case state when 'merged' then landed_at end,
       case state when 'closed' then landed_at end, '[]', (mr_id * 7 %% 500)::int, (mr_id * 3 %% 200)::int,
       case when project_id %% 5 > 0 then project_id %% 3 end, landed_at
  from step;

insert into raw_commit (project_id, commit_id, author_user_id, author_name, authored_at, committed_at,
                        parent_ids, is_signed, reverts_sha, fetched_at)
select project_id, pg_temp.sha(project_id, k, j), 1 + mr_id %% 400, 'Author ' || mr_id %% 400,
       created_at - j * interval '1 minute', landed_at - j * interval '1 minute',
       array_remove(case
           when style = 'ff' then array[case
               when j < brought then pg_temp.sha(project_id, k, j + 1)
               when k > 1 then pg_temp.sha(project_id, k - 1, 0) end]
           when j = 0 and state = 'merged' then array[
               case when k > 1 then pg_temp.sha(project_id, k - 1, 0) end, pg_temp.sha(project_id, k, brought)]
           when k = 1 then '{}'
           when j < 2 then array[pg_temp.sha(project_id, k - 1, 0)]
           else array[pg_temp.sha(project_id, k, j - 1)] end, null),
       mr_id %% 3 > 0,
       case when j = 0 and mr_id %% 50 = 0 then pg_temp.sha(project_id, k - 1, 0) end, landed_at
  from step, generate_series(0, case when style = 'ff' or state = 'merged' then brought else 0 end) j;

insert into raw_mr_commit (project_id, mr_id, commit_id, authored_at, author_user_id, is_signed, position,
                           fetched_at)
select project_id, mr_id, pg_temp.sha(project_id, k, case style when 'squash' then 100 else 0 end + j),
       created_at - j * interval '1 minute', 1 + mr_id %% 400, mr_id %% 3 > 0, j, landed_at
  from step, generate_series(1, 9) j;

insert into raw_mr_version (version_id, project_id, mr_id, head_sha, base_sha, created_at, rewrites, fetched_at)
select mr_id * 4 + j, project_id, mr_id, md5(mr_id || ':' || j), md5(mr_id::text),
       created_at + j * (landed_at - created_at) / 4, case when j > 0 then (mr_id + j) %% 9 = 0 end, landed_at
  from step, generate_series(0, 2) j;

insert into raw_mr_event (project_id, mr_id, event_key, kind, at, actor_user_id, fetched_at)
select project_id, mr_id, 'note:' || mr_id * 16 + j, 'note', created_at + j * (landed_at - created_at) / 11,
       1 + (mr_id + j * j) %% 400, landed_at
  from step, generate_series(1, 10) j
 union all
select project_id, mr_id, 'approval:' || j, 'approved', landed_at - j * interval '5 minutes',
       1 + (mr_id + j) %% 400, landed_at
  from step, generate_series(1, 2) j
 where mr_id %% 10 > j
 union all
select project_id, mr_id, 'state:' || mr_id, state, landed_at, 1 + mr_id %% 400, landed_at
  from step
 where state <> 'opened';

insert into raw_mr_issue (project_id, mr_id, issue_project, issue_iid, fetched_at)
select t.project_id, t.mr_id, t.project_id::text, 1 + t.mr_id %% s.issues, t.landed_at
  from step t
  join size s using (project_id)
 where t.mr_id %% 10 < 7;

insert into raw_push_event (event_id, project_id, ref, ref_type, action, commit_from, commit_to, created_at,
                            fetched_at)
select mr_id * 4, project_id, 'main', 'branch', 'pushed', pg_temp.sha(project_id, k - 1, 0),
       pg_temp.sha(project_id, k, 0), landed_at, landed_at
  from step
 where k > 1
 union all
select mr_id * 4 + 1, project_id, 'feature-' || k, 'branch', 'created', null, pg_temp.sha(project_id, k, 1),
       created_at - interval '10 minutes', landed_at
  from step
 union all
select mr_id * 4 + 2, project_id, 'feature-' || k, 'branch', 'removed', pg_temp.sha(project_id, k, 1), null,
       landed_at, landed_at
  from step
 where state <> 'opened';

create temporary table run as
select s.project_id, s.is_dag, s.has_environments, s.pipeline_base + i as pipeline_id,
       case when i %% 5 = 0 or i %% 50 = 1 then 'main'
            when i %% 20 > 0 then 'refs/merge-requests/' || ceil(i * s.mrs::float8 / s.pipelines) || '/head'
            else 'feature-' || i / 10 end as ref,
       ceil(i * s.mrs::float8 / s.pipelines)::bigint as k,
       pg_temp.moment(i::float8 / s.pipelines) as at,
       (array['success', 'success', 'success', 'success', 'success', 'success', 'success', 'success', 'failed',
              'failed', 'failed', 'canceled'])[1 + (pg_temp.u(s.pipeline_base + i, 4) * 12)::int %% 12] as status
  from size s, generate_series(1, s.pipelines) i;
analyze run;

insert into raw_pipeline (pipeline_id, project_id, iid, sha, ref, source, status, created_at, updated_at,
                          started_at, finished_at, duration_sec, fetched_at)
select pipeline_id, project_id, pipeline_id,
       case when ref = 'main' then pg_temp.sha(project_id, k, 0) else md5(ref || pipeline_id) end, ref,
       case when pipeline_id %% 33 = 0 then 'parent_pipeline' when ref like 'refs/%%' then 'merge_request_event'
            else 'push' end,
       status, at, at + interval '20 minutes', at, at + interval '20 minutes', (pipeline_id %% 1200)::int, at
  from run;

insert into raw_job (job_id, project_id, pipeline_id, name, stage, status, sha, created_at, started_at,
                     finished_at, duration_sec, retried_flag, allow_failure, scheduling_type, needs, fetched_at)
select r.pipeline_id * 16 + j, r.project_id, r.pipeline_id,
       (array['build', 'lint', 'unit-1', 'unit-2', 'unit-3', 'unit-4', 'integration', 'package', 'scan',
              'deploy'])[case j when 10 then 6 else j + 1 end],
       case when j < 2 then 'build' when j < 7 or j = 10 then 'test' else 'deploy' end,
       case when j = 5 and r.pipeline_id %% 20 = 0 then 'failed'
            when r.status = 'failed' and j = 6 then 'failed' else 'success' end,
       p.sha, r.at, r.at + j * interval '1 minute',
       r.at + j * interval '1 minute' + (10 + (r.pipeline_id * (j + 3)) %% 290) * interval '1001 milliseconds',
       10 + (r.pipeline_id * (j + 3)) %% 290, j = 5 and r.pipeline_id %% 20 = 0, false,
       case when r.is_dag then 'dag' else 'stage' end,
       case when r.is_dag then case when j < 2 then '{}' when j < 7 or j = 10 then array['build']
            else array['unit-1', 'unit-4'] end end, r.at
  from run r
  join raw_pipeline p using (project_id, pipeline_id), generate_series(0, 10) j
 where j < 10 or r.pipeline_id %% 20 = 0;

insert into raw_environment (environment_id, project_id, name, tier, state, fetched_at)
select project_id * 2 + j, project_id, (array['production', 'staging'])[j + 1],
       (array['production', 'staging'])[j + 1], 'available', pg_temp.moment(1)
  from size, generate_series(0, 1) j
 where has_environments;

insert into raw_deployment (deployment_id, project_id, status, environment, sha, ref, pipeline_id, created_at,
                            updated_at, finished_at, fetched_at)
select r.pipeline_id * 2 + j, r.project_id, 'success', (array['production', 'staging'])[j + 1], p.sha, 'main',
       r.pipeline_id, r.at, r.at + interval '19 minutes', r.at + interval '19 minutes', r.at
  from run r
  join raw_pipeline p using (project_id, pipeline_id), generate_series(0, 1) j
 where r.has_environments and r.ref = 'main' and r.status = 'success' and (j = 1 or r.pipeline_id %% 2 = 0);

insert into raw_tag (project_id, tag_name, commit_id, committed_at, fetched_at)
select project_id, case when i %% 9 = 0 then 'build-' else 'v1.' end || i || '.0',
       pg_temp.sha(project_id, ceil(i * mrs::float8 / tags)::bigint, 0), pg_temp.moment(i::float8 / tags),
       pg_temp.moment(1)
  from size, generate_series(1, tags) i;

insert into raw_release (project_id, tag_name, commit_id, released_at, created_at, fetched_at)
select project_id, tag_name, commit_id, committed_at + interval '1 hour', committed_at, fetched_at
  from raw_tag
 where project_id in (select project_id from size) and tag_name like 'v%%';

insert into raw_issue (issue_id, project_id, iid, author_user_id, state, issue_type, labels, created_at,
                       updated_at, closed_at, fetched_at)
select s.issue_base + i, s.project_id, i, 1 + i %% 400, case when i %% 10 < 8 then 'closed' else 'opened' end,
       'issue', case when i %% 4 = 0 then '["SLA::24h"]'::jsonb when i %% 4 = 1 then '["bug"]' else '[]' end,
       pg_temp.moment(i::float8 / s.issues), pg_temp.moment(i::float8 / s.issues) + i %% 9 * interval '13 hours',
       case when i %% 10 < 8 then pg_temp.moment(i::float8 / s.issues) + i %% 9 * interval '13 hours' end,
       pg_temp.moment(1)
  from size s, generate_series(1, s.issues) i;

insert into raw_issue_event (project_id, issue_id, event_key, state, at, actor_user_id, fetched_at)
select s.project_id, s.issue_base + i, 'state:' || j, case j when 2 then 'reopened' else 'closed' end,
       pg_temp.moment(i::float8 / s.issues) + (i %% 9 - 3 + j) * interval '13 hours', 1 + i %% 400,
       pg_temp.moment(1)
  from size s, generate_series(1, s.issues) i, generate_series(1, 3) j
 where i %% 10 < 8 and (j = 3 or i %% 20 = 0);

-- Fact tables as 180 days of 300 projects would fill them (times %(times)s), without a raw row: deterministic,
-- uneven between projects. Runs after projects are placed.
with shape as (select 300 * %(times)s as projects, timestamptz '2026-01-05 00:00+01' as start, 180 * 86400 as span)
, mr as (
    select n, 1 + (n * 7919) %% projects as project_id, start,
           start + make_interval(secs => (n * 104729) %% span) as created_at,
           3600 + (n * 7907) %% 900000 as open_s
      from shape, generate_series(1::bigint, 60000 * %(times)s) n
)
, made as (
    insert into fact_mr (mr_id, project_id, iid, created_at, merged_at, first_review_at, cycle_time_ms, review_wait_ms,
                         review_ms, approvals_required, approvals_given, rules_version)
    select n, project_id, n, created_at,
           case when n %% 12 <> 0 then created_at + make_interval(secs => open_s) end,
           case when n %% 10 <> 0 then created_at + make_interval(secs => open_s / 3) end,
           case when n %% 12 <> 0 then open_s::bigint * 1000 + n %% 977 end,
           case when n %% 10 <> 0 then open_s::bigint * 333 end,
           case when n %% 12 <> 0 and n %% 10 <> 0 then open_s::bigint * 600 end,
           n %% 3, n %% 4, 1
      from mr
)
insert into fact_mr_span (project_id, mr_id, created_at, from_at, to_at)
select project_id, n, created_at, created_at,
       case when n %% 24 <> 0 then created_at + make_interval(secs => open_s) end
  from mr;

insert into fact_pipeline (pipeline_id, project_id, is_child, status, created_at, finished_at, is_prod, is_rollback,
                           is_flaky_candidate, duration_sec, critical_path_ms, green_at, mtg_ms)
select n, 1 + (n * 7919) %% (300 * %(times)s), n %% 50 = 0, case when n %% 5 = 0 then 'failed' else 'success' end, at,
       at + interval '10 minutes', false, false, false, 300 + n %% 600, (200 + n %% 600) * 1000,
       case when n %% 5 = 0 then at + interval '1 hour' end, case when n %% 5 = 0 then 3600000 + n %% 4000000 end
  from generate_series(1::bigint, 300000 * %(times)s) n,
       lateral (select timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000) as at) t;

insert into fact_job_group (project_id, sha, name, at, last_job_id, is_flaky)
select 1 + (n / 8 * 7919) %% (300 * %(times)s), 'sha' || n / 8, 'job' || n %% 8,
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n / 8 * 104729) %% 15552000 + n %% 8 * 60), n, n %% 40 = 0
  from generate_series(1::bigint, 2400000 * %(times)s) n;

insert into fact_commit (project_id, commit_id, committed_at, is_direct_push, is_signed)
select 1 + (n * 7919) %% (300 * %(times)s), 'commit' || n,
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000), n %% 20 = 0, n %% 3 = 0
  from generate_series(1::bigint, 600000 * %(times)s) n;

insert into fact_release (project_id, tag_name, at, is_semver)
select 1 + (n * 7919) %% (300 * %(times)s), 'v1.' || n || '.0',
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000), n %% 9 <> 0
  from generate_series(1::bigint, 5000 * %(times)s) n;

insert into fact_deployment (project_id, deployment_key, at, signal, rules_version, is_rollback, rollback_ms)
select 1 + (n * 7919) %% (300 * %(times)s), 'pipeline:' || n,
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000), 'environment', 1, n %% 15 = 0,
       case when n %% 15 = 0 then 600000 + n %% 7200000 end
  from generate_series(1::bigint, 30000 * %(times)s) n;

insert into fact_force_push (project_id, push_key, branch, at)
select 1 + (n * 7919) %% (300 * %(times)s), 'push:' || n, 'main',
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000)
  from generate_series(1::bigint, 1000 * %(times)s) n;

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
                           is_flaky_candidate, is_alone, duration_sec, critical_path_ms, green_at, mtg_ms)
select n, 1 + (n * 7919) %% (300 * %(times)s), n %% 50 = 0, case when n %% 5 = 0 then 'failed' else 'success' end, at,
       at + interval '10 minutes', false, false, false, n %% 10 <> 0, 300 + n %% 600, (200 + n %% 600) * 1000,
       case when n %% 5 = 0 then at + interval '1 hour' end, case when n %% 5 = 0 then 3600000 + n %% 4000000 end
  from generate_series(1::bigint, 300000 * %(times)s) n,
       lateral (select timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000) as at) t;

-- The flaky sample reads jobs of pipelines that stand alone as they are.
insert into raw_job (job_id, project_id, pipeline_id, name, stage, status, started_at, finished_at, fetched_at)
select n * 10 + j, project_id, n, 'job' || j, 'test', case when j = 9 then 'failed' else 'success' end, created_at,
       created_at + make_interval(secs => 60 * j), created_at
  from (select pipeline_id as n, project_id, created_at from fact_pipeline) p, generate_series(0, 9) j;

insert into fact_job_day (project_id, at, jobs)
select j.project_id, date_trunc('day', j.finished_at, 'Europe/Amsterdam'), count(*)
  from raw_job j join fact_pipeline p using (pipeline_id) where p.is_alone group by 1, 2;

insert into fact_job_group (project_id, sha, name, at, last_job_id, is_flaky)
select 1 + (n / 8 * 7919) %% (300 * %(times)s), 'sha' || n / 8, 'job' || n %% 8,
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n / 8 * 104729) %% 15552000 + n %% 8 * 60), n, n %% 4 = 0
  from generate_series(1::bigint, 240000 * %(times)s) n;

insert into fact_commit (project_id, commit_id, committed_at, is_direct_push, is_signed, position, is_mainline)
select 1 + (n * 7919) %% (300 * %(times)s), 'commit' || n,
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000), n %% 20 = 0, n %% 3 = 0, n, true
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

insert into fact_branch (mr_id, project_id, started_at, ended_at, ttl_ms)
select mr_id, project_id, created_at, merged_at, (extract(epoch from merged_at - created_at) * 1000)::bigint from fact_mr;

insert into fact_issue (issue_id, project_id, iid, created_at, sla_ms, is_bug, escaped_by, rules_version)
select n, 1 + (n * 7919) %% (300 * %(times)s), n,
       timestamptz '2026-01-05 00:00+01' + make_interval(secs => (n * 104729) %% 15552000),
       case when n %% 3 = 0 then 86400000 end, n %% 4 = 0, case when n %% 12 = 0 then 'label' end, 1
  from generate_series(1::bigint, 100000 * %(times)s) n;

insert into fact_issue_span (project_id, issue_id, from_at, to_at)
select project_id, issue_id, created_at,
       case when issue_id %% 6 <> 0 then created_at + make_interval(secs => (issue_id * 7907) %% 2592000 + 60) end
  from fact_issue;

insert into fact_issue_event (project_id, issue_id, event_key, at, is_reopening)
select project_id, issue_id, 'state:' || issue_id || ':' || n, to_at - make_interval(secs => n * 10), n = 1
  from fact_issue_span, generate_series(0, 2) n
 where to_at is not null and (n = 0 or issue_id %% 10 = 0);

insert into fact_mr_deployment (mr_id, project_id, deployment_key, at, inferred, has_issue)
select mr_id, project_id, 'pipeline:' || mr_id, merged_at + interval '5 hours', false, mr_id %% 3 <> 0
  from fact_mr where merged_at is not null;

insert into fact_delivery (issue_id, project_id, mr_id, deployment_key, at, lead_ms)
select mr_id, project_id, mr_id, deployment_key, at, 795600000 + mr_id %% 86400000
  from fact_mr_deployment where has_issue;

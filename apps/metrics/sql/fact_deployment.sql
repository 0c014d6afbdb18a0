-- Production deployments (METRICS.md section 2). Rollbacks are marked afterwards, along each environment's line.
with rule as (
    select project_id, production_infer as infer, production_signals as signals, rules_version,
           'environment' = any(production_signals) as asks_environment
      from placed_project
     where project_id = any(%(projects)s)
),
signal as (
    select s.*,
           r.infer,
           r.rules_version,
           array_remove(array[
               case when s.environment and r.asks_environment then 'environment' end,
               case when s.release_tag and 'release_tag' = any(r.signals) then 'release_tag' end,
               case when s.default_branch and 'default_branch' = any(r.signals) then 'default_branch' end
           ], null) as holding,
           case
               when (s.environment or s.has_environments) and r.asks_environment then 'environment'
               when s.has_tags and 'release_tag' = any(r.signals) then 'release_tag'
               when 'default_branch' = any(r.signals) then 'default_branch'
           end as best,
           cardinality(r.signals) as enabled
      from link_signal s
      join rule r using (project_id)
),
production as (
    select pipeline_id, project_id, sha, at, rules_version,
           'environment' = any(holding) as by_environment,
           case when infer = 'best_evidence' then best else array_to_string(holding, '+') end as signal
      from signal
     where case infer
               when 'best_evidence' then best = any(holding)
               when 'any' then cardinality(holding) > 0
               else cardinality(holding) = enabled and enabled > 0
           end
),
together as (
    select distinct on (project_id, pipeline_id, nth) *
      from link_production
     order by project_id, pipeline_id, nth, at, deployment_id
),
deployment as (
    select p.project_id, 'pipeline:' || p.pipeline_id || ':' || t.nth as deployment_key, p.pipeline_id,
           t.environment, p.sha, t.at, p.signal, p.rules_version
      from production p
      join together t using (project_id, pipeline_id)
     where p.by_environment
     union all
    select project_id, 'pipeline:' || pipeline_id, pipeline_id, null, sha, at, signal, rules_version
      from production
     where not by_environment
     union all
    select e.project_id, 'deployment:' || e.deployment_id, null, e.environment, e.sha, e.at, 'environment',
           r.rules_version
      from link_production e
      join rule r using (project_id)
     where e.pipeline_id is null and r.asks_environment
)
select d.*, l.position, false as is_rollback
  from deployment d
  left join link_position l on l.project_id = d.project_id and l.commit_id = d.sha

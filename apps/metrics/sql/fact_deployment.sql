-- Production deployments (METRICS.md section 2). Rollbacks are marked afterwards, along each environment's line.
with rule as (
    select production_infer as infer, production_signals as signals, rules_version
      from placed_project
     where project_id = %(project)s
),
signal as (
    select s.*,
           r.infer,
           r.rules_version,
           'environment' = any(r.signals) as asks_environment,
           array_remove(array[
               case when s.environment and 'environment' = any(r.signals) then 'environment' end,
               case when s.release_tag and 'release_tag' = any(r.signals) then 'release_tag' end,
               case when s.default_branch and 'default_branch' = any(r.signals) then 'default_branch' end
           ], null) as holding,
           case
               when (s.environment or s.has_environments) and 'environment' = any(r.signals) then 'environment'
               when s.has_tags and 'release_tag' = any(r.signals) then 'release_tag'
               when 'default_branch' = any(r.signals) then 'default_branch'
           end as best,
           cardinality(r.signals) as enabled
      from link_signal s
     cross join rule r
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
    select distinct on (e.pipeline_id, e.nth) e.*
      from link_production e
     order by e.pipeline_id, e.nth, e.at, e.deployment_id
)
select p.project_id, 'pipeline:' || p.pipeline_id || ':' || t.nth as deployment_key, p.pipeline_id,
       t.environment, p.sha, t.at, p.signal, p.rules_version
  from production p
  join together t using (pipeline_id)
 where p.by_environment
 union all
select p.project_id, 'pipeline:' || p.pipeline_id, p.pipeline_id, null, p.sha, p.at, p.signal, p.rules_version
  from production p
 where not p.by_environment
 union all
select e.project_id, 'deployment:' || e.deployment_id, null, e.environment, e.sha, e.at, 'environment', r.rules_version
  from link_production e
 cross join rule r
 where e.pipeline_id is null and 'environment' = any(array(select unnest(production_signals) from placed_project where project_id = %(project)s))

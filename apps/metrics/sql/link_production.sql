-- Successful deployments to production environments, numbered within their pipeline and environment.
select d.project_id,
       d.deployment_id,
       d.pipeline_id,
       d.environment,
       d.sha,
       coalesce(d.finished_at, d.updated_at, d.created_at) as at,
       row_number() over (
           partition by d.project_id, d.pipeline_id, d.environment
           order by coalesce(d.finished_at, d.updated_at, d.created_at), d.deployment_id
       ) as nth
  from raw_deployment d
  left join name_verdict v
         on v.project_id = d.project_id and v.rule = 'production_environment' and v.name = d.environment
 where d.project_id = any(%(projects)s)
   and d.status = 'success'
   and (
       v.matches
       or exists (
           select from raw_environment e
            where e.project_id = d.project_id and e.name = d.environment and e.tier = 'production'
       )
   )

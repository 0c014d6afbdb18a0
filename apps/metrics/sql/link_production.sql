-- Successful deployments to production environments, numbered within their pipeline and environment.
select d.project_id,
       d.deployment_id,
       d.pipeline_id,
       d.environment,
       d.sha,
       coalesce(d.finished_at, d.updated_at, d.created_at) as at,
       row_number() over (
           partition by d.pipeline_id, d.environment
           order by coalesce(d.finished_at, d.updated_at, d.created_at), d.deployment_id
       ) as nth
  from raw_deployment d
  left join name_verdict v
         on v.project_id = d.project_id and v.rule = 'production_environment' and v.name = d.environment
 where d.project_id = %(project)s
   and d.status = 'success'
   and (
       v.matches
       or d.environment in (select name from raw_environment where project_id = %(project)s and tier = 'production')
   )

-- Successful pipelines with the signals that hold for each, and what the project was known to have by then.
with pipeline as (
    select p.*,
           coalesce(p.source, '') = 'parent_pipeline' as is_child,
           coalesce(p.source, '') = 'merge_request_event' or p.ref like 'refs/merge-requests/%%' as is_mr
      from raw_pipeline p
     where p.project_id = any(%(projects)s) and p.status = 'success' and p.deleted_at is null
),
tag as (
    select r.project_id, r.tag_name, r.commit_id, r.at
      from fact_release r
      join name_verdict v on v.project_id = r.project_id and v.rule = 'production_tag' and v.name = r.tag_name
     where r.project_id = any(%(projects)s) and v.project_id = any(%(projects)s) and v.matches
),
of_tag as (
    select p.project_id, p.pipeline_id, t.tag_name
      from pipeline p
      join tag t on t.project_id = p.project_id and t.tag_name = p.ref
     where not p.is_child
),
first_on_sha as (
    select project_id, sha, min(pipeline_id) as pipeline_id
      from pipeline
     where not is_mr and not is_child
     group by project_id, sha
),
released as (
    select project_id, pipeline_id from of_tag
     union
    select t.project_id, f.pipeline_id
      from tag t
      join first_on_sha f on f.project_id = t.project_id and f.sha = t.commit_id
     where not exists (select from of_tag o where o.project_id = t.project_id and o.tag_name = t.tag_name)
),
first_on_default as (
    select p.project_id, min(p.pipeline_id) as pipeline_id
      from pipeline p
      join dim_project d using (project_id)
     where p.ref = d.default_branch and not p.is_mr and not p.is_child
     group by p.project_id, p.sha
),
deployed as (
    select distinct project_id, pipeline_id from link_production where pipeline_id is not null
),
since as (
    select project_id, min(environments_at) as environments_at, min(tags_at) as tags_at
      from (
          select project_id, at as environments_at, null::timestamptz as tags_at from link_production
           union all
          select project_id, null, at from tag
      ) known
     group by project_id
)
select p.pipeline_id,
       p.project_id,
       p.sha,
       p.created_at,
       coalesce(p.finished_at, p.updated_at, p.created_at) as at,
       e.pipeline_id is not null as environment,
       r.pipeline_id is not null as release_tag,
       f.pipeline_id is not null as default_branch,
       coalesce(s.environments_at <= p.created_at, false) as has_environments,
       coalesce(s.tags_at <= p.created_at, false) as has_tags
  from pipeline p
  left join deployed e using (project_id, pipeline_id)
  left join released r using (project_id, pipeline_id)
  left join first_on_default f using (project_id, pipeline_id)
  left join since s using (project_id)

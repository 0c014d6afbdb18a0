-- Successful pipelines with the signals that hold for each, and what the project was known to have by then.
with pipeline as (
    select p.*,
           coalesce(p.source, '') = 'parent_pipeline' as is_child,
           coalesce(p.source, '') = 'merge_request_event' or p.ref like 'refs/merge-requests/%%' as is_mr
      from raw_pipeline p
     where p.project_id = %(project)s and p.status = 'success' and p.deleted_at is null
),
tag as (
    select r.*
      from fact_release r
      join name_verdict v on v.project_id = r.project_id and v.rule = 'production_tag' and v.name = r.tag_name
     where r.project_id = %(project)s and v.matches
),
of_tag as (
    select p.pipeline_id, t.tag_name from pipeline p join tag t on t.tag_name = p.ref where not p.is_child
),
first_on_sha as (
    select sha, min(pipeline_id) as pipeline_id
      from pipeline
     where not is_mr and not is_child
     group by sha
),
released as (
    select pipeline_id from of_tag
     union
    select f.pipeline_id
      from tag t
      join first_on_sha f on f.sha = t.commit_id
     where t.tag_name not in (select tag_name from of_tag)
),
first_on_default as (
    select min(p.pipeline_id) as pipeline_id
      from pipeline p
      join dim_project d using (project_id)
     where p.ref = d.default_branch and not p.is_mr and not p.is_child
     group by p.sha
)
select p.pipeline_id,
       p.project_id,
       p.sha,
       p.created_at,
       coalesce(p.finished_at, p.updated_at, p.created_at) as at,
       p.pipeline_id in (select pipeline_id from link_production where pipeline_id is not null) as environment,
       p.pipeline_id in (select pipeline_id from released) as release_tag,
       p.pipeline_id in (select pipeline_id from first_on_default) as default_branch,
       coalesce((select min(at) from link_production) <= p.created_at, false) as has_environments,
       coalesce((select min(at) from tag) <= p.created_at, false) as has_tags
  from pipeline p

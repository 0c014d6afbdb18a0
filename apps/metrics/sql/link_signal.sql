-- Successful pipelines with the signals that hold for each, and what the project was known to have by then.
with pipeline as (
    select p.*,
           coalesce(p.source, '') = 'parent_pipeline' as is_child,
           coalesce(p.source, '') = 'merge_request_event' or p.ref like 'refs/merge-requests/%%' as is_mr
      from raw_pipeline p
     where p.project_id = %(project)s and p.status = 'success'
),
tag as (
    select r.*
      from fact_release r
      join name_verdict v on v.project_id = r.project_id and v.rule = 'production_tag' and v.name = r.tag_name
     where r.project_id = %(project)s and v.matches
),
tagged as (
    select p.pipeline_id, t.tag_name from tag t join pipeline p on p.ref = t.tag_name and not p.is_child
),
first_on_sha as (
    select sha, min(pipeline_id) as pipeline_id
      from pipeline
     where not is_mr and not is_child
     group by sha
),
first_on_default as (
    select min(p.pipeline_id) as pipeline_id
      from pipeline p
      join dim_project d using (project_id)
     where p.ref = d.default_branch and not p.is_mr and not p.is_child
     group by p.sha
),
by_tag as (
    select pipeline_id from tagged
     union
    select f.pipeline_id
      from tag t
      join first_on_sha f on f.sha = t.commit_id
     where t.tag_name not in (select tag_name from tagged)
),
by_environment as (
    select distinct pipeline_id from link_production where pipeline_id is not null
)
select p.pipeline_id,
       p.project_id,
       p.sha,
       p.created_at,
       coalesce(p.finished_at, p.updated_at, p.created_at) as at,
       e.pipeline_id is not null as environment,
       t.pipeline_id is not null as release_tag,
       d.pipeline_id is not null as default_branch,
       coalesce((select min(at) from link_production) <= p.created_at, false) as has_environments,
       coalesce((select min(at) from tag) <= p.created_at, false) as has_tags
  from pipeline p
  left join by_environment e using (pipeline_id)
  left join by_tag t using (pipeline_id)
  left join first_on_default d using (pipeline_id)

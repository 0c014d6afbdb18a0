-- What the jobs of each pipeline say together. `stages_ms`: its critical path, if stages follow each other and no
-- job was tried again; each stage gives its longest job then, and one pass over the jobs tells it.
with stage as (
    select project_id, pipeline_id,
           max(finished_at - started_at) filter (where finished_at >= started_at) as longest,
           bool_or(scheduling_type = 'dag') as is_dag
      from raw_job
     where project_id = any(%(projects)s)
     group by project_id, pipeline_id, stage
),
pipeline as (
    select project_id, pipeline_id,
           coalesce(bool_or(is_dag), false) as is_dag,
           (extract(epoch from sum(longest)) * 1000)::bigint as stages_ms
      from stage
     group by project_id, pipeline_id
),
attempt as (
    select project_id, pipeline_id, count(*) > count(distinct name) as is_retried
      from raw_job
     where project_id = any(%(projects)s)
     group by project_id, pipeline_id
)
select p.project_id, p.pipeline_id, p.is_dag, p.stages_ms, a.is_retried
  from pipeline p
  join attempt a using (project_id, pipeline_id)

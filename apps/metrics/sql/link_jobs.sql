-- What the jobs of each due pipeline say together, in one pass over them. `stages_ms`: its critical path, if stages
-- follow each other and no job was tried again; each stage gives its longest job then. `jobs`: the names of its
-- attempts, for few pipelines of a project have others.
with stage as (
    select project_id, pipeline_id,
           string_agg(name, chr(31) order by name collate "C") as jobs,
           bool_or(scheduling_type = 'dag') as is_dag,
           max(finished_at - started_at) filter (where finished_at >= started_at) as longest,
           coalesce(bool_or(finished_at < started_at), false) as is_odd,
           count(finished_at) filter (where status in ('success', 'failed')) as ended,
           min(finished_at) filter (where status in ('success', 'failed')) as first_ended_at,
           max(finished_at) filter (where status in ('success', 'failed')) as last_ended_at
      from raw_job
     where project_id = any(%(projects)s)
       and (%(due)s::bigint[] is null or pipeline_id = any(%(due)s::bigint[]))
     group by project_id, pipeline_id, stage
),
pipeline as (
    select project_id, pipeline_id,
           string_agg(jobs, chr(31) order by jobs collate "C") as jobs,
           coalesce(bool_or(is_dag), false) as is_dag,
           (extract(epoch from sum(longest)) * 1000)::bigint as stages_ms,
           bool_or(is_odd) as is_odd,
           sum(ended)::int as ended,
           min(first_ended_at) as first_ended_at,
           max(last_ended_at) as last_ended_at
      from stage
     group by project_id, pipeline_id
),
list as materialized (  -- or each list would be looked through once a pipeline
    select jobs, cardinality(names) > (select count(distinct name) from unnest(names) name) as is_retried
      from (select jobs, string_to_array(jobs, chr(31)) as names from pipeline group by jobs) several
)
select p.*, l.is_retried
  from pipeline p
  join list l using (jobs)

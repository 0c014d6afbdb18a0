-- Due pipelines with dag jobs: the lengths of their jobs, and a word for all else that their critical path hangs on.
-- The pipelines of a project mostly have the same jobs, so few words are met.
select j.project_id, j.pipeline_id,
       md5(array_agg(
           hash_record_extended(row(j.name, j.stage, j.scheduling_type = 'dag', j.needs), 0) order by j.job_id
       )::text) as shape,
       array_agg(
           case when j.finished_at >= j.started_at
                then (extract(epoch from j.finished_at - j.started_at) * 1000)::bigint end
           order by j.job_id
       ) as lengths_ms
  from raw_job j
  join link_jobs l using (project_id, pipeline_id)
 where j.project_id = any(array(select distinct project_id from link_jobs where is_dag))
   and (%(due)s::bigint[] is null or j.pipeline_id = any(%(due)s::bigint[]))
   and l.is_dag
 group by j.project_id, j.pipeline_id

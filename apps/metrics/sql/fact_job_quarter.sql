-- Jobs of pipelines that stand alone, by the quarter of an hour in which they ended: what the roll-up adds up.
select j.project_id,
       date_bin('15 minutes', j.finished_at, timestamptz '2000-01-01 00:00Z') as at,
       count(*)::int as jobs
  from raw_job j
  join fact_pipeline p using (project_id, pipeline_id)
 where j.project_id = any(%(projects)s) and p.project_id = any(%(projects)s)
   and p.is_alone and j.status in ('success', 'failed') and j.finished_at is not null
 group by 1, 2

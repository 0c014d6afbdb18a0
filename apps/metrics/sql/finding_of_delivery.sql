-- Lead times that cannot be, made what the deliveries of today say: they are known only when all projects are built.
with found as (
    select project_id, case when lead_ms < 0 then 'negative_lead_time' else 'zero_lead_time' end as kind,
           'issue' as entity, issue_id::text as entity_id, lead_ms || ' ms' as detail
      from fact_delivery
     where lead_ms <= 0
),
gone as (
    delete from finding f
     where f.kind in ('negative_lead_time', 'zero_lead_time')
       and not exists (
           select from found n
            where (n.project_id, n.kind, n.entity, n.entity_id) = (f.project_id, f.kind, f.entity, f.entity_id)
       )
)
insert into finding as f (project_id, kind, entity, entity_id, detail)
select project_id, kind, entity, entity_id, detail from found
    on conflict (project_id, kind, entity, entity_id) do update set detail = excluded.detail
 where f.detail <> excluded.detail

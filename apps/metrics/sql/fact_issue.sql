-- Issues in scope with what the rules say of them: SLA target, bug, escaped bug (METRICS.md sections 1 and 3).
with issue as (
    select i.*, p.sla, p.bugs_escape_days, p.rules_version
      from raw_issue i
      join placed_project p using (project_id)
     where i.project_id = any(%(projects)s)
       and i.deleted_at is null and i.moved_to_id is null and coalesce(i.issue_type, 'issue') in ('issue', 'incident')
),
label as (
    select i.project_id, i.issue_id, l.name
      from issue i
     cross join jsonb_array_elements_text(case when jsonb_typeof(i.labels) = 'array' then i.labels end) l(name)
),
target as (
    select distinct on (i.issue_id) i.issue_id, (r.rule ->> 'hours')::bigint * 3600000 as sla_ms
      from issue i
     cross join jsonb_array_elements(i.sla) with ordinality r(rule, nth)
      join label l on l.issue_id = i.issue_id and l.name = r.rule ->> 'label'
     order by i.issue_id, r.nth
),
judged as (
    select l.issue_id,
           bool_or(v.rule = 'bugs_label') as is_bug,
           bool_or(v.rule = 'bugs_escape_label') as is_escape,
           bool_or(v.rule = 'incidents_label') as is_incident
      from label l
      join name_verdict v on v.project_id = l.project_id and v.name = l.name
     where v.project_id = any(%(projects)s) and v.matches and v.rule in ('bugs_label', 'bugs_escape_label', 'incidents_label')
     group by l.issue_id
),
soon_after as (
    select i.issue_id, min(r.tag_name) as tag_name
      from issue i
      join judged j on j.issue_id = i.issue_id and j.is_bug
      join fact_release r on r.project_id = i.project_id
     where r.project_id = any(%(projects)s) and r.at <= i.created_at and i.created_at < r.at + i.bugs_escape_days * interval '24 hours'
     group by i.issue_id
)
select i.issue_id, i.project_id, i.iid, i.created_at, t.sla_ms,
       coalesce(j.is_bug, false) as is_bug,
       coalesce(i.issue_type = 'incident', false) or coalesce(j.is_incident, false) as is_incident,
       case when j.is_bug then case when j.is_escape then 'label' else s.tag_name end end as escaped_by,
       i.rules_version
  from issue i
  left join target t using (issue_id)
  left join judged j using (issue_id)
  left join soon_after s using (issue_id)

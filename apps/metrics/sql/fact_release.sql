-- Every tag, at its release's instant, else its commit's.
select t.project_id,
       t.tag_name,
       t.commit_id,
       coalesce(r.released_at, t.committed_at) as at,
       v.matches as is_semver,
       to_char(coalesce(r.released_at, t.committed_at) at time zone %(zone)s, 'IYYY-"W"IW') as cadence_bucket
  from raw_tag t
  join name_verdict v on v.project_id = t.project_id and v.rule = 'semver' and v.name = t.tag_name
  left join raw_release r on r.project_id = t.project_id and r.tag_name = t.tag_name
 where t.project_id = any(%(projects)s)

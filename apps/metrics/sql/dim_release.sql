-- Every tag; released_at only where a release belongs to it.
select t.project_id, t.tag_name, r.released_at, v.matches as semver_valid
  from raw_tag t
  join name_verdict v on v.project_id = t.project_id and v.rule = 'semver' and v.name = t.tag_name
  left join raw_release r on r.project_id = t.project_id and r.tag_name = t.tag_name
 where t.project_id = any(%(projects)s)

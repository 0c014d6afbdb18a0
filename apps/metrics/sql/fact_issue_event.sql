-- Closings and reopenings of issues in scope.
select e.project_id, e.issue_id, e.event_key, e.at, e.state = 'reopened' as is_reopening
  from raw_issue_event e
  join fact_issue i using (project_id, issue_id)
 where e.project_id = any(%(projects)s) and i.project_id = any(%(projects)s) and e.state in ('closed', 'reopened')

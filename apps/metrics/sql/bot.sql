-- Users who are no people: by GitLab's word, by the shape of their name, or by the org's list.
select user_id
  from dim_user
 where is_bot
    or username ~ '^(project|group)_[0-9]+_bot'
    or username = any(%(bots)s)
    or name = any(%(bots)s)

-- One row per (day, scope) that is published, in order: its values, written once as JSON members and once as CSV
-- lines. Both take the same `number`, so the two formats cannot tell different numbers.
with metric as (
    select *
      from unnest(%(keys)s::text[], %(windows)s::text[], %(tails)s::text[])
           with ordinality as m(key, "window", tail, place)
),
scope as (
    select *
      from unnest(%(scopes)s::bigint[], %(heads)s::text[]) with ordinality as s(id, head, place)
),
day as (
    select generate_series(%(first)s::date, %(last)s::date, interval '1 day')::date as day
),
cell as (
    select d.day,
           s.place as scope,
           s.head,
           m.key,
           m."window",
           m.tail,
           m.place,
           trim_scale(v.value)::text as number,
           coalesce(v.n, 0) as n,
           case when v.value is null then coalesce(nullif(v.reason, ''), 'no_sample') else '' end as reason
      from day d
     cross join scope s
     cross join metric m
      left join metric_daily v
             on v.scope_id = s.id and v.metric = m.key and v."window" = m."window" and v.day = d.day
            and v.day between %(first)s and %(last)s
     order by d.day, s.place, m.place
)
select day,
       scope,
       string_agg('"' || key || '": ' || coalesce(number, 'null'), ', ' order by place),
       string_agg('"' || key || '": ' || n, ', ' order by place),
       coalesce(
           string_agg('"' || key || '": "' || reason || '"', ', ' order by place) filter (where reason <> ''), ''
       ),
       string_agg(
           day || ',' || head || ',' || key || ',' || "window" || ',' || coalesce(number, '') || ',' || n
               || ',' || tail || ',' || reason || E'\r\n',
           '' order by place
       )
  from cell
 group by day, scope
 order by day, scope

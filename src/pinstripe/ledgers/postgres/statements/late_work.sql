-- What schedules should have let run by now, and didn't. All of it begins with the runs of schedules that are open, or
-- with the last fires, and goes on by indexes that hold only what waits or runs: however much is kept costs nothing.

-- name: has_schedules
select exists (select from pinstripe.schedules) or exists (
  select from pinstripe.runs where schedule is not null and finished_at is null)

-- name: late_run
-- Whose job isn't paused, and whose end nobody has asked for.
r.schedule is not null and r.finished_at is null and r.scheduled_for < $1 and r.stop is null
and not exists (select from pinstripe.pauses p where p.job in ('', r.job) and p.tenant = '')

-- name: late_execution
-- What has begun once is another matter: it waits for its next attempt.
x.attempts = 0 and not exists (select from pinstripe.pauses p where p.job in ('', x.job) and p.tenant = x.tenant)

-- name: late_columns
-- The place of a job without tenants in its schedule's window is its run's own.
r.job, r.schedule, x.tenant, case x.tenant when '' then coalesce(r.due_at, r.scheduled_for) else r.scheduled_for end,
r.spread, r.id

-- name: late_selecting
select r.job, r.schedule, null, r.scheduled_for, null, r.id,
  case when r.error is not null then 'lacking' when r.selector in (select id from pinstripe.owners) then 'being selected'
    else 'selecting' end, null
from pinstripe.runs r
where {late_run} and not r.selected order by r.scheduled_for limit $2

-- name: late_due
-- Run by run, here and below: by its own statistics the planner would rather read all that waits anywhere.
select {late_columns}, x.held, x.due_at
from pinstripe.runs r
cross join lateral (
  select * from pinstripe.executions x
  where x.run = r.n and x.state = 'queued' and x.held = 'due' and x.due_at < $1 and {late_execution} limit $2) x
where {late_run} and r.selected
order by r.scheduled_for limit $2

-- name: late_held
select {late_columns}, x.held, x.due_at
from pinstripe.runs r
cross join lateral (
  select * from pinstripe.executions x
  where x.run = r.n and x.state = 'queued' and x.held in ('limit', 'tenant_limit', 'overlap') and {late_execution}
  limit $2) x
where {late_run} and r.selected
order by r.scheduled_for limit $2

-- name: late_ready
-- Of a run of several tenants. What has been given back is due since it is ready again.
select {late_columns}, 'ready', case when x.epoch > 0 then c.ready_at end
from pinstripe.runs r
cross join lateral (
  select * from pinstripe.chunks c where c.run = r.n and c.tag is not null offset 0) c
cross join lateral (
  select * from pinstripe.executions x
  where x.chunk = c.id and x.state = 'queued' and x.chunk is not null and {late_execution} limit $2) x
where {late_run} and r.selected and r.total > 1
order by r.scheduled_for limit $2

-- name: late_ready_alone
-- The one of a run whose flow has many other runs.
select {late_columns}, 'ready', case when x.epoch > 0 then c.ready_at end
from pinstripe.runs r
join pinstripe.executions x on x.run = r.n
left join pinstripe.chunks c on c.id = x.chunk
where {late_run} and r.selected and r.total = 1 and x.state = 'queued' and x.held is null and {late_execution}
order by r.scheduled_for limit $2

-- name: troubled_fires
-- Of each zone the last fire that is late: its selection failed and none has succeeded since, or somebody was skipped.
-- Where a schedule fires each minute its very last fire is never late.
select r.n, r.id, r.job, r.schedule, r.scheduled_for, r.due_at, r.spread, r.error
from pinstripe.schedules s
join pinstripe.schedule_zones z on z.schedule = s.id and z.gone_at is null and z.fired > z.since
cross join lateral (
  select * from (
    -- From the last one backwards: by its own guess of how few are of the zone the planner would sort all of them.
    select f.* from pinstripe.runs f
    where f.schedule is not null and f.job = s.job and f.schedule = s.key
      and f.scheduled_for > z.since and f.scheduled_for < $1
    order by f.scheduled_for desc offset 0) f
  where not s.by_tenant or f.selection::json -> 'zone' ->> 0 = z.zone limit 1) r
where s.gone_at is null and not r.pruning
  and (r.skipped > 0 or r.error is not null and (r.finished_at is not null or r.stop is not null) and not exists (
    select from pinstripe.runs y where y.retry_of = r.id and y.state in ('queued', 'running', 'succeeded'))
    and not exists (
      select from pinstripe.runs f
      where f.schedule is not null and f.job = r.job and f.schedule = r.schedule
        and f.scheduled_for > r.scheduled_for and f.selected
        and (not s.by_tenant or f.selection::json -> 'zone' ->> 0 = z.zone)))
  and not exists (select from pinstripe.pauses p where p.job in ('', s.job) and p.tenant = '')

-- name: unfinished_fires
-- What those of whom somebody was skipped were skipped for.
select n, job, schedule, scheduled_for from pinstripe.runs
where schedule is not null and finished_at is null and overlap = 'skip' and scheduled_for < $1
order by scheduled_for

-- name: overlapped
-- The tenants that one run ($1) skipped and an earlier one ($2) has not finished.
select s.tenant
from (
  select x.tenant from pinstripe.executions x where x.run = $2 and x.state = 'queued' and x.held is not null
  union all
  select x.tenant from pinstripe.owners w
  join pinstripe.executions x on x.owner = w.id and x.run = $2 and x.state = 'running'
  union all
  select x.tenant from pinstripe.chunks c
  join pinstripe.executions x on x.chunk = c.id and x.state = 'queued' and x.chunk is not null
  where c.run = $2 and c.tag is not null) e
join pinstripe.executions s on s.run = $1 and s.tenant = e.tenant
where s.state = 'skipped' and s.error = $3
  and not exists (select from pinstripe.pauses p where p.job in ('', s.job) and p.tenant = s.tenant)
limit $4

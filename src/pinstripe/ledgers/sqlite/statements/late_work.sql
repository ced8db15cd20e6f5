-- What schedules should have let run by now, and didn't. All of it begins with the runs of schedules that are open, or
-- with the last fires, and goes on by indexes that hold only what waits or runs: however much is kept costs nothing.

-- name: has_schedules
select exists (select 1 from schedules) or exists (
  select 1 from runs indexed by runs_of_schedules where schedule is not null and finished_at is null)

-- name: late_run
-- Whose job isn't paused, and whose end nobody has asked for.
r.schedule is not null and r.finished_at is null and r.scheduled_for < :before and r.stop is null
and not exists (select 1 from pauses where job in ('', r.job) and tenant = '')

-- name: late_execution
-- What has begun once is another matter: it waits for its next attempt.
x.attempts = 0 and not exists (select 1 from pauses where job in ('', x.job) and tenant = x.tenant)

-- name: late_columns
-- The place of a job without tenants in its schedule's window is its run's own.
r.job, r.schedule, x.tenant, iif(x.tenant = '', coalesce(r.due_at, r.scheduled_for), r.scheduled_for), r.spread, r.id

-- name: late_selecting
select r.job, r.schedule, null, r.scheduled_for, null, r.id,
  case when r.error is not null then 'lacking' when r.selector in (select id from owners) then 'being selected'
    else 'selecting' end, null
from runs r indexed by runs_of_schedules
where {late_run} and r.selected = 0 order by r.scheduled_for limit :limit

-- name: late_due
select {late_columns}, x.held, x.due_at
from runs r indexed by runs_of_schedules
cross join executions x indexed by executions_held on x.run = r.n and x.state = 'queued' and x.held is not null
where {late_run} and r.selected = 1 and x.held = 'due' and x.due_at < :before and {late_execution}
order by r.scheduled_for limit :limit

-- name: late_held
select {late_columns}, x.held, x.due_at
from runs r indexed by runs_of_schedules
cross join executions x indexed by executions_held on x.run = r.n and x.state = 'queued' and x.held is not null
where {late_run} and r.selected = 1 and x.held in ('limit', 'tenant_limit', 'overlap') and {late_execution}
order by r.scheduled_for limit :limit

-- name: late_ready
-- Of a run of several tenants: it is a flow of its own. What has been given back is due since it is ready again.
select {late_columns}, 'ready', iif(x.epoch > 0, c.ready_at, null)
from runs r indexed by runs_of_schedules
cross join chunks c indexed by chunks_of_flow
  on c.band = r.band and c.flow = r.flow and c.tag is not null and c.run = r.n
cross join executions x indexed by executions_ready on x.chunk = c.id and x.state = 'queued' and x.chunk is not null
where {late_run} and r.selected = 1 and r.total > 1 and {late_execution}
order by r.scheduled_for limit :limit

-- name: late_ready_alone
-- The one of a run whose flow has many other runs.
select {late_columns}, 'ready', iif(x.epoch > 0, c.ready_at, null)
from runs r indexed by runs_of_schedules
cross join executions x indexed by executions_of_run on x.run = r.n
left join chunks c on c.id = x.chunk
where {late_run} and r.selected = 1 and r.total = 1 and x.state = 'queued' and x.held is null and {late_execution}
order by r.scheduled_for limit :limit

-- name: troubled_fires
-- Of each zone the last fire that is late: its selection failed and none has succeeded since, or somebody was skipped.
-- Where a schedule fires each minute its very last fire is never late.
select r.n, r.id, r.job, r.schedule, r.scheduled_for, r.due_at, r.spread, r.error
from schedules s
cross join schedule_zones z on z.schedule = s.id and z.gone_at is null and z.fired > z.since
cross join runs r on r.n = (
  select f.n from runs f indexed by runs_by_fire
  where f.job = s.job and f.schedule = s.key and f.scheduled_for > z.since and f.scheduled_for < :before
    and (s.by_tenant = 0 or f.selection ->> '$.zone[0]' = z.zone)
  order by f.scheduled_for desc limit 1)
where s.gone_at is null and r.pruning = 0
  and (r.skipped > 0 or r.error is not null and (r.finished_at is not null or r.stop is not null) and not exists (
    select 1 from runs y where y.retry_of = r.id and y.state in ('queued', 'running', 'succeeded'))
    and not exists (
      select 1 from runs f indexed by runs_by_fire
      where f.job = r.job and f.schedule = r.schedule and f.scheduled_for > r.scheduled_for and f.selected = 1
        and (s.by_tenant = 0 or f.selection ->> '$.zone[0]' = z.zone)))
  and not exists (select 1 from pauses where job in ('', s.job) and tenant = '')

-- name: unfinished_fires
-- What those of whom somebody was skipped were skipped for.
select n, job, schedule, scheduled_for from runs indexed by runs_of_schedules
where schedule is not null and finished_at is null and overlap = 'skip' and scheduled_for < :before
order by scheduled_for

-- name: overlapped
-- The tenants that one run skipped and an earlier one has not finished.
select s.tenant
from (
  select x.tenant from executions x indexed by executions_held
  where x.run = :earlier and x.state = 'queued' and x.held is not null
  union all
  select x.tenant from owners w cross join executions x indexed by executions_running
    on x.owner = w.id and x.run = :earlier and x.state = 'running'
  union all
  select x.tenant from runs r
  cross join chunks c indexed by chunks_of_flow
    on c.band = r.band and c.flow = r.flow and c.tag is not null and c.run = r.n
  cross join executions x indexed by executions_ready on x.chunk = c.id and x.state = 'queued' and x.chunk is not null
  where r.n = :earlier) e
cross join executions s indexed by executions_of_run on s.run = :last and s.tenant = e.tenant
where s.state = 'skipped' and s.error = :overlaps
  and not exists (select 1 from pauses where job in ('', s.job) and tenant = s.tenant)
limit :limit

-- name: take_guards
-- In the order of their keys, so that two who take the same never wait for one another; of equal ones the first.
insert into pinstripe.guards(job, schedule, tenant, execution)
select g.job, g.schedule, g.tenant, g.execution
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
  with ordinality as g(job, schedule, tenant, execution, place)
order by g.place on conflict do nothing returning execution

-- name: hold_guards
-- Whoever gives one of these back has to wait for this transaction, and then sees what it has written.
select g.job, g.schedule, g.tenant from pinstripe.guards g
join unnest($1::text[], $2::text[], $3::text[]) as k(job, schedule, tenant)
  on g.job = k.job and g.schedule = k.schedule and g.tenant = k.tenant
order by g.job, g.schedule, g.tenant for share of g

-- name: free_guards
with freed as materialized (
  select job, schedule, tenant from pinstripe.guards where execution = any($1::bigint[])
  order by job, schedule, tenant for update)
delete from pinstripe.guards g using freed f
where g.job = f.job and g.schedule = f.schedule and g.tenant = f.tenant
returning g.job, g.schedule, g.tenant

-- name: next_overlapping
-- One that somebody else has locked is being ended, or else is found by who mends.
select k.job, k.schedule, k.tenant, x.id, x.run, x.due_at
from unnest($1::text[], $2::text[], $3::text[]) as k(job, schedule, tenant)
cross join lateral (
  select x.id, x.run, x.due_at from pinstripe.executions x join pinstripe.runs r on r.n = x.run
  where x.state = 'queued' and x.held = 'overlap' and x.job = k.job and x.tenant = k.tenant and r.schedule = k.schedule
  order by x.id limit 1 for update of x skip locked) x
order by k.job, k.schedule, k.tenant

-- name: stale_guards
-- Of what is final, or no more.
with stale as materialized (
  select g.job, g.schedule, g.tenant from pinstripe.guards g
  where not exists (select from pinstripe.executions x where x.id = g.execution and x.state in ('queued', 'running'))
  order by g.job, g.schedule, g.tenant limit $1 for update skip locked)
delete from pinstripe.guards g using stale s
where g.job = s.job and g.schedule = s.schedule and g.tenant = s.tenant
returning g.job, g.schedule, g.tenant

-- name: guards_of_nobody
-- For which something waits all the same.
select distinct x.job, r.schedule, x.tenant from pinstripe.executions x join pinstripe.runs r on r.n = x.run
where x.state = 'queued' and x.held = 'overlap' and not exists (
  select from pinstripe.guards g where g.job = x.job and g.schedule = r.schedule and g.tenant = x.tenant)
limit $1

-- name: add_executions
insert into pinstripe.executions(run, tenant, job, listed)
select $1, tenant, $2, (select total < 1000 from pinstripe.runs where n = $1) from unnest($3::text[]) as tenant
on conflict (run, tenant) do nothing

-- name: start_executions
-- With the first of them the run has begun.
with started as (
  update pinstripe.executions
  set state = 'running', owner = $2, epoch = epoch + 1, attempts = attempts + 1, started_at = $4
  where run = $1 and tenant = any($3::text[]) and state = 'queued'
  returning id, tenant, epoch, attempts),
begun as (
  update pinstripe.runs set state = 'running', started_at = coalesce(started_at, $4)
  where n = $1 and state = 'queued' and exists (select from started))
select id, tenant, epoch, attempts from started

-- name: started_before
select id, tenant, epoch, attempts from pinstripe.executions
where run = $1 and tenant = any($3::text[]) and state = 'running' and owner = $2 and started_at = $4

-- name: skip_tenants
update pinstripe.executions set state = 'skipped', error = $3, finished_at = $4
where run = $1 and tenant = any($2::text[]) and state = 'queued'

-- name: settle_executions
-- Of one run by hand. A row that is queued again with its epoch unchanged was given back while its process was thought
-- to be gone: its work is done all the same. (The epoch of one that never started is 0.) The addition keeps PostgreSQL
-- from walking through all of the run instead of going to the ids.
with settled as (
  update pinstripe.executions x set state = s.state, owner = null, finished_at = $2, error = s.error,
    traceback = s.traceback, result = s.result
  from unnest($3::bigint[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
    as s(id, epoch, state, error, traceback, result, log)
  where x.id = s.id and x.run + 0 = $1 and x.epoch = s.epoch and x.epoch > 0 and x.state in ('running', 'queued')
  returning x.id, s.state, s.log),
kept as (
  insert into pinstripe.logs(execution, text, succeeded_at)
  select id, log, case when state = 'succeeded' then $2 end from settled where log is not null
  on conflict (execution) do update set text = excluded.text, succeeded_at = excluded.succeeded_at)
select state, count(*) from settled group by state

-- name: end_ids
with open as (
  select id from pinstripe.executions where id = any($1::bigint[]) and state in ('queued', 'running')
  order by id for update)
update pinstripe.executions x
set state = $2, owner = null, held = null, chunk = null, error = $3, finished_at = $4
from open where x.id = open.id returning x.id, x.run

-- name: open_executions
-- From a tenant on, itself only where the last asks for it.
select tenant, id, state from pinstripe.executions
where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state in ('queued', 'running')
order by tenant limit $4 for update

-- name: end_executions
-- They are locked.
update pinstripe.executions set state = $2, owner = null, error = $3, finished_at = $4 where id = any($1::bigint[])

-- name: queued_tenants
select tenant from pinstripe.executions
where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'queued' order by tenant limit $4

-- name: retryable_failed
select tenant from pinstripe.executions x
where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'failed' and {not_elsewhere}
order by tenant limit $4

-- name: retryable_cancelled
select tenant from pinstripe.executions x
where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'cancelled' and {not_elsewhere}
order by tenant limit $4

-- name: retryable_skipped
select tenant from pinstripe.executions x
where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'skipped' and {not_elsewhere}
order by tenant limit $4

-- name: not_elsewhere
-- One look for each, since it has a limit: not a join with all that the other runs have.
(select 1 from pinstripe.executions y
 where y.run = any($5::bigint[]) and y.tenant = x.tenant and y.state in ('succeeded', 'queued', 'running') limit 1)
is null

-- name: other_retries
with recursive chain(id) as (
  (select $1::text collate "C"
   union
   select origin from pinstripe.runs where reverse(id) = reverse($1))
  union
  select r.id from pinstripe.runs r join chain on r.retry_of = chain.id)
select r.n from chain join pinstripe.runs r on reverse(r.id) = reverse(chain.id) where r.id <> $1

-- name: lock_chain
-- Its first run may be gone: what is locked is the name.
select pg_advisory_xact_lock(hashtextextended('pinstripe.runs ' || coalesce(
  (select origin from pinstripe.runs where reverse(id) = reverse($1)), $1), 0))

-- name: succeeded
select distinct tenant from pinstripe.executions
where run = any($1::bigint[]) and tenant = any($2::text[]) and state in ('succeeded', 'queued', 'running')

-- name: find_execution
select x.job, x.tenant, x.state, x.attempts, x.held, x.due_at, x.error, x.traceback, x.result, x.started_at,
  x.finished_at, l.text
from pinstripe.executions x left join pinstripe.logs l on l.execution = x.id where x.run = $1 and x.tenant = $2

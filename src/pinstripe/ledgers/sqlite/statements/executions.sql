-- name: add_executions
insert into executions(run, tenant, job, listed)
select :run, value, :job, (select total < 1000 from runs where n = :run) from json_each(:tenants) where true
on conflict(run, tenant) do nothing

-- name: start_executions
update executions set state = 'running', owner = :owner, epoch = epoch + 1, attempts = attempts + 1, started_at = :now
where run = :run and tenant in (select value from json_each(:tenants)) and state = 'queued'
returning id, tenant, epoch, attempts

-- name: skip_tenants
update executions set state = 'skipped', error = :reason, finished_at = :now
where run = :run and tenant in (select value from json_each(:tenants)) and state = 'queued' returning id

-- name: settle_plain
-- Many that ended alike, with nothing to keep. A row that is queued again with its epoch unchanged was given back while
-- its process was thought to be gone: its work is done all the same. (The epoch of one that never started is 0.)
-- The plus keeps SQLite from walking through all of the run instead of going to the ids.
update executions set state = :state, owner = null, finished_at = :now
where id in (select value from json_each(:ids)) and +run = :run and epoch = :epoch and epoch > 0
  and state in ('running', 'queued')

-- name: settle_one
update executions set state = :state, owner = null, finished_at = :now, error = :error, traceback = :traceback,
  result = :result
where id = :id and +run = :run and epoch = :epoch and epoch > 0 and state in ('running', 'queued')

-- name: keep_log
insert or replace into logs(execution, text, succeeded_at) values (:id, :text, :succeeded_at)

-- name: open_executions
select tenant, id, state from executions
where run = :run and tenant >= :first and state in ('queued', 'running') order by tenant limit :limit

-- name: end_executions
update executions set state = :state, owner = null, error = :reason, finished_at = :now
where id in (select value from json_each(:ids)) and state = :was

-- name: queued_tenants
select tenant from executions where run = :run and tenant >= :first and state = 'queued' order by tenant limit :limit

-- name: retryable_failed
select tenant from executions x where run = :run and tenant >= :first and state = 'failed' and {not_elsewhere}
order by tenant limit :limit

-- name: retryable_cancelled
select tenant from executions x where run = :run and tenant >= :first and state = 'cancelled' and {not_elsewhere}
order by tenant limit :limit

-- name: retryable_skipped
select tenant from executions x where run = :run and tenant >= :first and state = 'skipped' and {not_elsewhere}
order by tenant limit :limit

-- name: not_elsewhere
not exists (select 1 from executions y where y.tenant = x.tenant and y.state in ('succeeded', 'queued', 'running')
  and y.run in (select value from json_each(:others)))

-- name: other_retries
with recursive chain(id) as (
  select :id
  union
  select origin from runs where id = :id
  union
  select r.id from runs r join chain on r.retry_of = chain.id)
select n from runs where id in (select id from chain) and id <> :id

-- name: find_execution
select x.job, x.tenant, x.state, x.attempts, x.held, x.due_at, x.error, x.traceback, x.result, x.started_at,
  x.finished_at, l.text
from executions x left join logs l on l.execution = x.id where x.run = :run and x.tenant = :tenant

-- name: succeeded
select tenant from executions x
where x.run in (select n from runs where id = :id union select value from json_each(:others))
  and x.tenant in (select value from json_each(:tenants)) and x.state in ('succeeded', 'queued', 'running')

-- name: restrictions
select exists(select 1 from pauses), exists(select 1 from limits),
  exists(select 1 from runs where stop is not null and finished_at is null)

-- name: take_tickets
select id, run, flow, band, tag, until from chunks where tag is not null order by band, tag, id limit ?

-- name: limited_runs
select n from runs where n in (select value from json_each(?)) and job in (select job from limits)

-- name: start_chunks
update executions set state = 'running', owner = :owner, epoch = epoch + 1, attempts = attempts + 1, started_at = :now
where chunk in (select value from json_each(:chunks)) and state = 'queued' and chunk is not null
returning id, run, tenant, epoch, attempts, solo, crashes, chunk

-- name: start_some
update executions set state = 'running', owner = :owner, epoch = epoch + 1, attempts = attempts + 1, started_at = :now
where id in (select id from executions where chunk = :chunk and state = 'queued' order by id limit :most)
returning id, run, tenant, epoch, attempts, solo, crashes, chunk

-- name: start_ids
update executions set state = 'running', owner = :owner, epoch = epoch + 1, attempts = attempts + 1, started_at = :now
where id in (select value from json_each(:ids)) and state = 'queued'
returning id, run, tenant, epoch, attempts, solo, crashes, chunk

-- name: candidates
select x.id, x.tenant, x.job, r.stop, r.total > 1 or r.schedule is not null
from executions x join runs r on r.n = x.run
where x.chunk = :chunk and x.state = 'queued' order by x.id limit :most

-- name: hold
update executions set held = :held, chunk = null, band = :band, tag = :tag where id = :id and state = 'queued'

-- name: end_ids
update executions set state = :state, owner = null, held = null, chunk = null, error = :reason, finished_at = :now
where id in (select value from json_each(:ids)) and state in ('queued', 'running') returning id, run

-- name: empty_chunks
delete from chunks where id in (select value from json_each(:chunks))

-- name: move_chunk
update chunks set tag = tag + ?, until = until - ? where id = ?

-- name: served
update bands set served = ?2 where band = ?1 and served < ?2

-- name: finish_flow
insert into flows(band, flow, finish) values (?, ?, ?)
on conflict(band, flow) do update set finish = max(finish, excluded.finish)

-- name: forget_flows
delete from flows where (band, flow) in (
  select f.band, f.flow from bands b cross join flows f indexed by flows_by_finish on f.band = b.band and f.finish <= b.served
  limit :limit)

-- name: runs_begun
update runs set state = 'running', started_at = coalesce(started_at, :now)
where n in (select value from json_each(:runs)) and state = 'queued'

-- name: runs_to_work
select n, id, job, trigger, args, kwargs, selection, origin, retry_of, scheduled_for, retry_until, crashes, total,
  created_at, trace
from runs where n in (select value from json_each(:runs))

-- name: requeue
update executions set state = 'queued', held = 'due', due_at = :due_at, chunk = null, owner = null,
  attempts = attempts - :uncounted, crashes = crashes + :crash, solo = max(solo, :crash), error = :error,
  traceback = :traceback
where id = :id and run = :run and epoch = :epoch and state = 'running'

-- name: last_crash
select 1 from executions x join runs r on r.n = x.run where x.id = :id and x.crashes >= r.crashes

-- name: settle_mixed
-- As settle_plain, of many runs. An execution's number alone could be another's by now, if its run has been removed. The
-- attempt of one that was given back counts again.
update executions set state = :state, owner = null, held = null, chunk = null, finished_at = :now, error = null,
  traceback = null, attempts = attempts + (state = 'queued')
where id in (select value ->> 0 from json_each(:ids)) and (id, run) in (select value ->> 0, value ->> 1 from json_each(:ids))
  and epoch = :epoch and epoch > 0 and state in ('running', 'queued')
returning id, run

-- name: settle_worker
update executions set state = :state, owner = null, held = null, chunk = null, finished_at = :now, error = :error,
  traceback = :traceback, result = :result, attempts = attempts - :uncounted + (state = 'queued')
where id = :id and run = :run and epoch = :epoch and epoch > 0 and state in ('running', 'queued')

-- name: free_slots
delete from slots where execution in (select value from json_each(:ids)) returning job, tenant

-- name: free_guards
delete from guards where execution in (select value from json_each(:ids)) returning job, schedule, tenant

-- name: stop_run
-- What was noted of its selection is no error: a run that has one has failed.
update runs set stop = :reason, error = iif(queued = 1 and selected = 0, null, error) where n = :run and finished_at is null and stop is null

-- name: selection_failed
update runs set error = :error, stop = :reason where n = :run

-- name: stopped_runs
select id, stop from runs where stop is not null and finished_at is null

-- name: stopped_queued_runs
-- Those of which something is queued, or which are to be closed: not those of which all that is open runs.
select n, stop from runs where stop is not null and finished_at is null and queued = 1
  and (selected = 0 or open > (
    select count(*) from executions x where x.owner in (select id from owners) and x.run = n and x.state = 'running'))

-- name: some_of_run
select id, chunk, tenant, state = 'queued' from executions where run = :run and tenant >= :first
order by tenant limit :limit

-- name: running_of_owner
select x.id, x.run, r.crashes, r.stop from executions x join runs r on r.n = x.run
where x.owner = :owner and x.state = 'running' and r.queued = 1 limit :limit

-- name: give_back
update executions set state = 'queued', held = 'due', due_at = :now, chunk = null, owner = null,
  attempts = attempts - 1, solo = max(solo, :blame)
where id in (select value from json_each(:ids)) and state = 'running' and owner = :owner

-- name: lost_owners
select distinct owner from executions where state = 'running' and owner not in (select id from owners)

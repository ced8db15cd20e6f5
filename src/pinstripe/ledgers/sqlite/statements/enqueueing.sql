-- name: last_ids
-- Numbers are given here, so that a run, its executions and its chunk are each written once. With them comes the next
-- tag of a flow, which nearly always is asked for too.
select coalesce((select seq from sqlite_sequence where name = 'runs'), 0),
  coalesce((select max(id) from executions), 0), coalesce((select max(id) from chunks), 0), ({next_tag})

-- name: run_of_key
select n from runs where job = ? and key_tenant = ? and key = ?

-- name: enqueue_run
insert into runs(n, id, reversed_id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, created_at,
  queued, selected, total, open, band, flow, due_at, key, key_tenant, crashes, schedule, scheduled_for, overlap,
  retry_until, spread, local_time, finished_at, trace, redacted)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: enqueue_execution
insert into executions(id, run, tenant, job, chunk, held, due_at) values (?, ?, ?, ?, ?, ?, ?)

-- name: enqueue_skipped
insert into executions(id, run, tenant, job, state, error, finished_at) values (?, ?, ?, ?, 'skipped', ?, ?)

-- name: enqueue_runs_alike
-- Each call is an id, the same from its end, and arguments.
insert into runs(n, id, reversed_id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, created_at,
  queued, selected, total, open, band, flow, due_at, key_tenant, crashes, schedule, scheduled_for, retry_until, spread,
  trace, redacted)
select :run + key, value ->> 0, value ->> 1, :job, 'queued', :trigger, value -> 2, value -> 3, :selection,
  coalesce(:origin, value ->> 0), :retry_of, :parent, :now, 1, 1, 1, 1, :band, :flow, :due_at, :key_tenant, :crashes,
  :schedule, :scheduled_for, :retry_until, :spread, :trace, :redacted
from json_each(:calls)

-- name: enqueue_executions_alike
-- Of all runs from this one on, which are in nobody else's sight yet.
insert into executions(id, run, tenant, job, chunk, held, due_at)
select :execution + n - :run, n, :tenant, :job, :chunk + n - :run, :held, :held_until from runs where n >= :run

-- name: mint_chunks_alike
insert into chunks(id, run, flow, band, tag, until, ready_at)
select :chunk + n - :run, n, :flow, :band, :tag + n - :run, :tag + n - :run + 1, :now from runs where n >= :run

-- name: mint_chunk
insert into chunks(id, run, flow, band, tag, until, ready_at) values (?, ?, ?, ?, ?, ?, ?)

-- name: next_tag
-- Start-time fair queueing: where the band is, or the flow, served or waiting, whichever is further.
select max(served, coalesce((select finish from flows where band = ?1 and flow = ?2), 0),
  coalesce((select until from chunks where band = ?1 and flow = ?2 and tag is not null order by until desc limit 1), 0))
from bands where band = ?1

-- name: front_tag
-- The same without what of the flow waits: that can't start before this one, or comes after it.
select max(served, coalesce((select finish from flows where band = ?1 and flow = ?2), 0)) from bands where band = ?1

-- name: limits_of
select total, per_tenant from limits where job = ?

-- name: set_limits
insert into limits(job, total, per_tenant) values (?, ?, ?)
on conflict(job) do update set total = excluded.total, per_tenant = excluded.per_tenant

-- name: delete_limits
delete from limits where job = ?

-- name: delete_slots
delete from slots where job = ?

-- name: slots_of_running
-- What runs already takes up its slots too.
insert or ignore into slots(execution, job, tenant)
select x.id, x.job, x.tenant from executions x indexed by executions_running join runs r on r.n = x.run
where x.state = 'running' and x.job = ? and r.queued = 1

-- name: selector_of
select 1 from runs where n = :run and selector = :owner and selected = 0 and state = 'queued' and stop is null
  and exists (select 1 from owners where id = :owner)

-- name: run_to_select
-- What was due at once stays so where the clock is set back meanwhile, by up to a day. As long as nothing was recorded
-- later than now, it wasn't, and what is due later isn't looked at.
select r.n from bands b cross join runs r indexed by runs_to_select on r.band = b.band
where r.queued = 1 and r.selected = 0 and r.state = 'queued' and r.stop is null
  and r.due_at <= :now + (exists (select 1 from runs where created_at > :now)) * 86400000000
  and (r.due_at <= :now or r.due_at <= r.created_at)
  and (r.selector is null or r.selector not in (select id from owners))
order by b.band, r.due_at, r.n limit 1

-- name: set_selector
update runs set selector = :owner, error = null where n = :run

-- name: note_selection
-- Not the error of a selection that has failed: with that its end was asked for.
update runs set error = :reason where n = :run and selector = :owner and selected = 0 and state = 'queued' and stop is null

-- name: leave_selection
update runs set selector = null where n = :run and selector = :owner

-- name: counted_in_selection
update runs set total = total + :added, open = open + :added
where n = :run and selected = 0 and state = 'queued' and selector = :owner and stop is null
  and exists (select 1 from owners where id = :owner)

-- name: select_executions
insert into executions(run, tenant, job, chunk, listed)
select :run, value, :job, :chunk, (select total < 1000 from runs where n = :run) from json_each(:tenants) where true
on conflict(run, tenant) do nothing

-- name: select_spread
-- Each tenant with when it is due, null where that has come.
insert into executions(run, tenant, job, chunk, held, due_at, listed)
select :run, value ->> 0, :job, iif(value ->> 1 is null, :chunk, null), iif(value ->> 1 is null, null, 'due'), value ->> 1,
  (select total < 1000 from runs where n = :run)
from json_each(:places) where true
on conflict(run, tenant) do nothing returning id, due_at

-- name: number_of_schedule
select id from schedules where job = ? and key = ?

-- name: note_local_time
insert into local_fires(schedule, local_time, tenant) select :schedule, :local_time, value from json_each(:tenants)
where true on conflict do nothing returning tenant

-- name: hidden_chunk
insert into chunks(run, flow, band, until) select n, 'r:' || n, band, 0 from runs where n = :run returning id

-- name: fill_chunk
update chunks set until = :size where id = :chunk

-- name: delete_chunk
delete from chunks where id = :chunk

-- name: hidden_chunks
select id, until from chunks where run = :run and tag is null order by id

-- name: ready_chunk
update chunks set flow = ?, tag = ?, until = ?, ready_at = ? where id = ?

-- name: set_flow
update runs set flow = :flow where n = :run

-- name: only_tenant
select tenant from executions where run = :run limit 1

-- name: guard_executions
-- One that is unfinished already keeps its guard, so that this one has none.
insert into guards(job, schedule, tenant, execution)
select job, :schedule, tenant, id from executions
where id in (select value from json_each(:ids)) and state = 'queued' on conflict do nothing

-- name: unguarded
select value from json_each(:ids) where not exists (select 1 from guards where execution = value)

-- name: ids_of_chunk
-- As they are selected, so that nothing of them is due later.
select id, null from executions where chunk = :chunk and state = 'queued'

-- name: facts_of_run
select schedule, overlap, coalesce(scheduled_for, due_at), spread, local_time from runs where n = :run

-- name: size_of_run
select total, band from runs where n = :run

-- name: begin_turn
-- The owner's row is locked, so that nobody takes this process for dead meanwhile. Then: what may hold something back,
-- what frees something, and what is due.
with me as (select 1 from pinstripe.owners where id = $2 and worker for key share)
select {situation}

-- name: situation
exists (select from me),
  exists (select from pinstripe.pauses),
  exists (select from pinstripe.limits),
  exists (select from pinstripe.runs where stop is not null and finished_at is null),
  exists (select from pinstripe.guards) or exists (select from pinstripe.slots),
  (select min(due_at) from pinstripe.executions where state = 'queued' and held = 'due'),
  (select min(r.due_at) from pinstripe.runs r
   where queued and not selected and state = 'queued' and due_at > $1)

-- name: begin_turn_settling
-- As begin_turn, and settle what has ended. Not where there are limits: those are to be locked before; and not before
-- the owner is.
with me as (select 1 from pinstripe.owners where id = $10 and worker for key share),
s as (
  select * from {settlements} where (select count(*) from me) >= 0 and not exists (select from pinstripe.limits)),
settled as ({settle})
select {situation}, settled.* from (select) as one left join settled on true

-- name: wait_for_own
-- Until no other transaction of this process starts anything: whose connection broke may still be on its way.
select 1 from pinstripe.owners where id = $1 for update

-- name: first_due
select min(due_at) from pinstripe.executions where state = 'queued' and held = 'due' and due_at > $1

-- name: start_picked
with picked as materialized (
  select e.id from unnest($1::bigint[], $2::integer[]) as p(chunk, most)
  cross join lateral (
    select x.id from pinstripe.executions x
    where x.chunk = p.chunk and x.state = 'queued' order by x.id limit p.most for update skip locked) e)
update pinstripe.executions x
set state = 'running', owner = $3, epoch = epoch + 1, attempts = attempts + 1, started_at = $4
from picked where x.id = picked.id
returning x.id, x.run, x.tenant, x.epoch, x.attempts, x.solo, x.crashes, x.chunk

-- name: candidates
select e.id, p.chunk, e.tenant, e.job, r.stop, r.total > 1 or r.schedule is not null
from unnest($1::bigint[], $2::integer[]) as p(chunk, most)
cross join lateral (
  select x.id, x.tenant, x.job, x.run from pinstripe.executions x
  where x.chunk = p.chunk and x.state = 'queued' order by x.id limit p.most for update skip locked) e
join pinstripe.runs r on r.n = e.run
order by e.id

-- name: start_ids
update pinstripe.executions x
set state = 'running', owner = $2, epoch = epoch + 1, attempts = attempts + 1, started_at = $3
where id = any($1::bigint[]) and state = 'queued'
returning x.id, x.run, x.tenant, x.epoch, x.attempts, x.solo, x.crashes, x.chunk

-- name: hold
update pinstripe.executions x set held = h.held, chunk = null, band = h.band, tag = h.tag
from unnest($1::bigint[], $2::text[], $3::smallint[], $4::bigint[]) as h(id, held, band, tag)
where x.id = h.id and x.state = 'queued'

-- name: end_turn
-- What a turn leaves: chunks that are empty are deleted, runs of which something was started have begun, what has ended
-- is counted, and how far bands and flows have been served is noted. It is done in this order, and the runs are locked in
-- the order of their numbers, as everywhere. A run that has begun is given, with what a worker has to know of it.
with gone as ({delete_chunks} returning 1),
turn as materialized (
  select t.*, t.succeeded + t.failed + t.cancelled + t.skipped as done, $2::bigint as now
  from unnest($3::bigint[], $4::boolean[], $5::integer[], $6::integer[], $7::integer[], $8::integer[])
    as t(run, begins, succeeded, failed, cancelled, skipped)),
locked as materialized (
  select n from pinstripe.runs where n = any($3::bigint[]) and (select count(*) from gone) >= 0 order by n
  for no key update),
changed as (
  update pinstripe.runs r set
    {count}
  from locked join turn e on e.run = locked.n where r.n = locked.n
  returning e.begins, r.*),
bands_served as (  -- nobody waits for it: who does the same at this moment says about the same
  update pinstripe.bands b set served = s.served
  from (
    select b.band, s.served from unnest($9::smallint[], $10::bigint[]) as s(band, served)
    join pinstripe.bands b on b.band = s.band where b.served < s.served
    order by b.band for update of b skip locked) as s
  where b.band = s.band),
f as (
  select * from unnest($11::smallint[], $12::text[], $13::bigint[]) as f(band, flow, finish)
  where (select count(*) from changed) >= 0),
flows_served as ({note_fronts})
select {queued_run} from changed where begins

-- name: count
-- The counter decides: the settlement that brings `open` to 0 closes the run.
  open = r.open - e.done,
  succeeded = r.succeeded + e.succeeded,
  failed = r.failed + e.failed,
  cancelled = r.cancelled + e.cancelled,
  skipped = r.skipped + e.skipped,
  started_at = case when e.begins then coalesce(r.started_at, e.now) else r.started_at end,
  state = case when r.selected and r.open = e.done then
    case when r.error is not null or r.failed + e.failed > 0 then 'failed'
         when r.cancelled + e.cancelled > 0 then 'cancelled' else 'succeeded' end
    when e.begins and r.state = 'queued' then 'running' else r.state end,
  finished_at = case when r.selected and r.open = e.done then e.now else r.finished_at end

-- name: delete_chunks
-- Not one in which something is still queued: that is locked by somebody who may yet leave it so.
-- Each is looked at by itself: as a join, all that is ready might be looked through.
delete from pinstripe.chunks c where id = any($1::bigint[])
  and (select 1 from pinstripe.executions x where x.chunk = c.id and x.state = 'queued' limit 1) is null

-- name: locked_chunks
-- Those of them in which something is queued that somebody has locked: he may leave it so.
select c.id, c.band, c.tag from pinstripe.chunks c where c.id = any($1::bigint[]) and c.tag is not null
  and (select 1 from pinstripe.executions x where x.chunk = c.id and x.state = 'queued' limit 1) is not null

-- name: move_chunks
-- What is served moves the tag; what is ended comes off the end.
update pinstripe.chunks c set tag = tag + m.turns, until = until - m.ended
from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as m(id, turns, ended) where c.id = m.id

-- name: runs_to_work
select {queued_run} from pinstripe.runs where n = any($1::bigint[])

-- name: queued_run
n, id, job, trigger, args, kwargs, selection, origin, retry_of, scheduled_for, retry_until, crashes, total, created_at,
  trace

-- name: settle_works
-- A row that is queued again with its epoch unchanged was given back while its process was thought to be gone: its work
-- is done all the same, and its attempt counts again. (The epoch of one that never started is 0.) Its number alone could
-- be another's by now. The addition keeps PostgreSQL from walking through all of a run instead of going to the ids.
with s as (select * from {settlements})
{settle}

-- name: settlements
unnest($2::bigint[], $3::bigint[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::integer[])
  as s(id, run, epoch, state, error, traceback, result, uncounted)

-- name: settle
update pinstripe.executions x set state = s.state, owner = null, held = null, chunk = null, finished_at = $1,
  error = s.error, traceback = s.traceback, result = s.result,
  attempts = attempts - s.uncounted + case when x.state = 'queued' then 1 else 0 end
from s
where x.id = s.id and x.run + 0 = s.run and x.epoch = s.epoch and x.epoch > 0 and x.state in ('running', 'queued')
returning x.id, x.run, x.state

-- name: requeue
update pinstripe.executions x set state = 'queued', held = 'due', due_at = s.due_at, chunk = null, owner = null,
  attempts = attempts - s.uncounted, crashes = crashes + s.crash, solo = solo or s.crash > 0, error = s.error,
  traceback = s.traceback
from unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
  $9::bigint[], $10::integer[]) as s(id, run, epoch, state, error, traceback, result, uncounted, due_at, crash)
where x.id = s.id and x.run + 0 = s.run and x.epoch = s.epoch and (x.state = 'running') is true
returning x.id

-- name: keep_logs
insert into pinstripe.logs(execution, text, succeeded_at)
select * from unnest($1::bigint[], $2::text[], $3::bigint[]) as l(execution, text, succeeded_at)
on conflict (execution) do update set text = excluded.text, succeeded_at = excluded.succeeded_at

-- name: last_crashes
-- Whoever is unsure doesn't ask for one that runs no more: its crash may have been counted before, by a commit of which
-- nobody has heard. Else it was given back meanwhile.
select x.id from unnest($1::bigint[], $2::integer[]) as s(id, epoch)
join pinstripe.executions x on x.id = s.id and x.epoch = s.epoch and (x.state = 'running' or not $3::boolean)
join pinstripe.runs r on r.n = x.run where x.crashes >= r.crashes

-- name: jobs_of_runs
select distinct job from pinstripe.runs where n = any($1::bigint[])

-- name: running_of_worker
-- What this process was given, and hasn't heard of, since the connection broke as it was committed.
select x.id, x.run, x.tenant, x.epoch, x.attempts, x.solo, x.crashes, 0
from pinstripe.executions x join pinstripe.runs r on r.n = x.run
where x.owner = $1 and x.state = 'running' and r.queued and not exists (
  select from unnest($2::bigint[], $3::integer[]) as known(id, epoch) where known.id = x.id and known.epoch = x.epoch)

-- name: run_to_select
-- One that a living process selects is left to it. What this process has, and hasn't heard of, is taken again. What was
-- due at once stays so where the clock is set back meanwhile, by up to a day: of what is due next, a few are looked at for
-- such, rather than all that is due within a day.
select r.n from pinstripe.runs r
where r.queued and not r.selected and r.state = 'queued' and r.stop is null
  and r.due_at <= greatest($1, (select max(due_at) filter (where due_at <= created_at) from (
    select l.due_at, l.created_at from pinstripe.runs l
    where l.queued and not l.selected and l.state = 'queued' and l.due_at > $1 and l.due_at <= $1 + 86400000000
    order by l.band, l.due_at limit 100) as next))
  and (r.due_at <= $1 or r.due_at <= r.created_at)
  and (r.selector is null or r.selector = $2 and r.n <> all($3::bigint[])
    or not exists (select from pinstripe.owners o where o.id = r.selector))
order by r.band, r.due_at, r.n limit 1

-- name: lock_run_to_select
{run_to_select} for update skip locked

-- name: set_selector
update pinstripe.runs set selector = $2, error = null where n = $1

-- name: note_selection
-- Not the error of a selection that has failed: with that its end was asked for.
update pinstripe.runs set error = $3
where n = $1 and selector = $2 and not selected and state = 'queued' and stop is null

-- name: leave_selection
update pinstripe.runs set selector = null where n = $1 and selector = $2

-- name: selection_failed
update pinstripe.runs set error = $2, stop = $3 where n = $1

-- name: stop_run
-- What was noted of its selection is no error: a run that has one has failed.
update pinstripe.runs set stop = $2, error = case when queued and not selected then null else error end where n = $1 and finished_at is null and stop is null

-- name: is_queued
select queued from pinstripe.runs where n = $1

-- name: stopped_runs
select id, stop from pinstripe.runs where stop is not null and finished_at is null

-- name: add_pause
insert into pinstripe.pauses(job, tenant, since) values ($1, $2, $3) on conflict do nothing

-- name: delete_pause
delete from pinstripe.pauses where job = $1 and tenant = $2

-- name: forget_flows
delete from pinstripe.flows f using (
  select f.band, f.flow from pinstripe.bands b join pinstripe.flows f on f.band = b.band and f.finish <= b.served
  limit $1 for update of f skip locked) gone
where f.band = gone.band and f.flow = gone.flow

-- name: old_chunks
select id, band, tag from pinstripe.chunks
where tag is not null and id > $1 and ready_at <= $2 order by id limit $3

-- name: may_tidy
select pg_try_advisory_xact_lock(hashtextextended($1, 0))

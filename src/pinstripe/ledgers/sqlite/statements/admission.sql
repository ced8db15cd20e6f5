-- name: due_executions
select id, run from executions where state = 'queued' and held = 'due' and due_at <= :now order by due_at limit :limit

-- name: next_due
select min(due_at) from (
  select * from (select due_at from executions indexed by executions_due where state = 'queued' and held = 'due' order by due_at limit 1)
  union all
  select (select due_at from runs r indexed by runs_to_select
    where r.band = b.band and queued = 1 and selected = 0 and state = 'queued' and due_at > :now order by due_at limit 1)
  from bands b)

-- name: flow_of
-- It has no flow while its tenants are being selected.
select flow, band from runs where n = ?

-- name: make_ready
update executions set held = null, chunk = :chunk, due_at = null
where id in (select value from json_each(:ids)) and state = 'queued'

-- name: new_chunk
insert into chunks(run, flow, band, tag, until, ready_at) values (?, ?, ?, ?, ?, ?) returning id

-- name: slots_of_job
select count(*) from slots where job = ?

-- name: slots_of_tenant
select count(*) from slots where job = ? and tenant = ?

-- name: slot_of
select 1 from slots where execution = ?

-- name: take_slot
insert or ignore into slots(execution, job, tenant) values (?, ?, ?)

-- name: first_limited
select id, run, tenant from executions where state = 'queued' and held = 'limit' and job = ? order by band, tag limit 1

-- name: cap
update executions set held = 'tenant_limit' where id = ? and state = 'queued'

-- name: uncap
update executions set held = 'limit', tag = iif(:most = 1, min(tag, coalesce({next_round}, tag)), tag) where id in (
  select id from executions indexed by executions_capped
  where state = 'queued' and held = 'tenant_limit' and job = :job and tenant = :tenant order by band, tag limit :most)

-- name: next_round
(select h.tag + 1 from executions h indexed by executions_limited
  where h.state = 'queued' and h.held = 'limit' and h.job = :job and h.band = executions.band order by h.tag limit 1)

-- name: place_of_tenant
-- Behind what its tenant has waiting, or in the next round of those that share the limit: their band may have gone far
-- beyond them meanwhile, so that by its tag there it would wait for all of them.
select coalesce(
  (select tag + 1 from executions indexed by executions_limited_each
    where state = 'queued' and held = 'limit' and job = :job and tenant = :tenant and band = :band
    order by tag desc limit 1),
  {first_place})

-- name: place_of_run
-- The same for a run of several tenants, which is served as one.
select coalesce(
  (select tag + 1 from executions indexed by executions_held
    where run = :run and state = 'queued' and held = 'limit' and due_at is null order by tag desc limit 1),
  {first_place})

-- name: first_place
(select tag + 1 from executions indexed by executions_limited
  where state = 'queued' and held = 'limit' and job = :job and band = :band order by tag limit 1)

-- name: lesser
select x.id, x.chunk, c.band, c.tag
from slots s cross join executions x on x.id = s.execution cross join chunks c on c.id = x.chunk
where s.job = :job and x.state = 'queued' and c.band > :band

-- name: lesser_of_job
{lesser} order by c.band desc, c.tag desc limit 1

-- name: lesser_of_tenant
{lesser} and s.tenant = :tenant order by c.band desc, c.tag desc limit 1

-- name: next_limited_job
select job from executions where state = 'queued' and held = 'limit' and job > ? order by job limit 1

-- name: next_capped_tenant
-- At or after: SQLite would look at all that come before the first of those that are after.
select job, tenant from executions indexed by executions_capped
where state = 'queued' and held = 'tenant_limit' and (job, tenant) >= (?, ?) order by job, tenant limit 1

-- name: stale_slots
delete from slots where execution in (
  select s.execution from slots s left join executions x on x.id = s.execution
  where x.id is null or not (x.state = 'running' or x.state = 'queued' and x.chunk is not null) limit :limit)
returning job, tenant

-- name: stale_guards
delete from guards where execution in (
  select g.execution from guards g left join executions x on x.id = g.execution
  where x.id is null or x.state not in ('queued', 'running') limit :limit)
returning job, schedule, tenant

-- name: next_overlapping
select x.id, x.run, x.due_at from executions x join runs r on r.n = x.run
where x.state = 'queued' and x.held = 'overlap' and x.job = :job and x.tenant = :tenant and r.schedule = :schedule
order by x.id limit 1

-- name: take_guard
insert or ignore into guards(job, schedule, tenant, execution) values (?, ?, ?, ?)

-- name: add_pause
insert or ignore into pauses(job, tenant, since) values (:job, :tenant, :now)

-- name: delete_pause
delete from pauses where job = :job and tenant = :tenant

-- name: pauses
select job, tenant, since from pauses order by since, job, tenant

-- name: next_paused
select job, tenant from executions indexed by executions_paused
where state = 'queued' and held = 'paused' and (job, tenant) >= (?, ?) order by job, tenant limit 1

-- name: paused_of_tenant
select id, run from executions where state = 'queued' and held = 'paused' and job = ? and tenant = ? limit ?

-- name: held_counts
select held, count(*) from executions where state = 'queued' and held is not null group by held

-- name: waiting_run
-- Of one whose tenants nobody selects yet, when that is due; and whether who took it last lacks its job.
select n, unselected, iif(unselected, due_at, null), selected = 0 and stop is null and error is not null
from (select n, due_at, selected, stop, error,
    selected = 0 and (selector is null or selector not in (select id from owners)) as unselected
  from runs where id = :id and queued = 1 and finished_at is null)

-- name: held_of_run
select held, count(*) from executions where run = :run and state = 'queued' and held is not null group by held

-- name: due_of_run
select min(due_at) from executions where run = :run and state = 'queued' and held = 'due'

-- name: ready_of_run
-- What is open, and neither held nor running.
select r.open
  - (select count(*) from executions x where x.run = r.n and x.state = 'queued' and x.held is not null)
  - (select count(*) from executions x where x.owner in (select id from owners) and x.run = r.n and x.state = 'running')
from runs r where r.n = :run and r.selected = 1

-- name: waiting_by_band
select band, sum(until - tag) from chunks where tag is not null group by band

-- name: oldest_of_band
-- The oldest has the lowest number, but for some that were made ready again.
select ready_at from chunks not indexed where band = ? and tag is not null order by id limit 1

-- name: running_by_owner
select owner, count(*) from executions where state = 'running' group by owner

-- name: running_longest
-- The first few of each process.
select each.owner, each.job, tenant, r.id, each.started_at
from (select owner, job, tenant, run, started_at, row_number() over (partition by owner order by started_at, id) as place
  from executions indexed by executions_running where state = 'running') each
join runs r on r.n = each.run where place <= :most order by each.owner, place

-- name: lacking_jobs
-- Who lacks a job gives back for a moment: what is due later than that need not be looked at.
select job, count(*) from (select job, error from executions indexed by executions_due
  where state = 'queued' and held = 'due' and due_at <= :until order by due_at desc limit :most)
where substr(error, 1, length(:reason)) = :reason group by job order by job

-- name: lacking_runs
select job, count(*) from runs indexed by runs_to_select
where queued = 1 and selected = 0 and state = 'queued' and stop is null and error is not null group by job order by job

-- name: lacking_of_run
select count(*) from (select error from executions
  where run = :run and state = 'queued' and held = 'due' and due_at <= :until order by due_at desc limit :most)
where substr(error, 1, length(:reason)) = :reason

-- name: selecting_runs
select count(*) from runs indexed by runs_to_select where queued = 1 and selected = 0 and state = 'queued'

-- name: processes
select id, host, pid, code_version, beat, started_at, concurrency, stopping, bot from owners order by id

-- name: needs_mending
select exists (select 1 from executions indexed by executions_limited where state = 'queued' and held = 'limit')
  or exists (select 1 from executions indexed by executions_capped where state = 'queued' and held = 'tenant_limit')
  or exists (select 1 from executions indexed by executions_paused where state = 'queued' and held = 'paused')
  or exists (select 1 from bands b cross join flows f indexed by flows_by_finish on f.band = b.band
             and f.finish <= b.served)

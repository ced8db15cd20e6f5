-- name: sweep_needs
-- What there is to do for a sweep, in one look that costs little where there is nothing.
select
  exists (select from pinstripe.owners where id <> $1 and (expires_at < $2 or (host = $3 and boot_id = $4))),
  exists ({lost_owners}),
  exists ({stopped_queued_runs}),
  exists (select from pinstripe.executions where state = 'queued' and held = 'due' and due_at <= $2),
  exists ({jobs_with_free_slots})
    or exists (select from pinstripe.executions x where {is_capped}),
  exists (select from pinstripe.executions x where {is_paused}),
  exists (select from pinstripe.bands b join pinstripe.flows f on f.band = b.band and f.finish <= b.served)

-- name: lost_owners
-- Those without a row, found by one look for each owner that runs something.
with recursive running(owner) as (
  select min(owner) from pinstripe.executions where state = 'running'
  union all
  select (select min(x.owner) from pinstripe.executions x where x.state = 'running' and x.owner > r.owner)
  from running r where r.owner is not null)
select r.owner from running r
where r.owner is not null and not exists (select from pinstripe.owners o where o.id = r.owner)

-- name: stopped_queued_runs
-- Those of which something is queued, or which are to be closed: not those of which all that is open runs.
select n, stop from pinstripe.runs
where stop is not null and finished_at is null and queued and (not selected or open > {running_of_run})

-- name: lock_dead_owner
-- Unless it has beaten since it was found dead, or another one buries it, or it starts something at this moment. Whether
-- its end was meant, or its machine was booted since.
select o.stopping or exists (
  select from pinstripe.owners p where p.host = o.host and p.boot_id <> o.boot_id and p.id > o.id)
from pinstripe.owners o where o.id = $1 and o.beat = $2 for update of o skip locked

-- name: jobs_of_owner
select distinct job from pinstripe.executions where owner = $1 and state = 'running'

-- name: running_of_owner
select x.id, r.crashes, r.stop from pinstripe.executions x join pinstripe.runs r on r.n = x.run
where x.owner = $1 and x.state = 'running' and r.queued order by x.id limit $2 for update of x

-- name: give_back
update pinstripe.executions set state = 'queued', held = 'due', due_at = $2, chunk = null, owner = null,
  attempts = attempts - 1, solo = solo or $3
where id = any($1::bigint[])

-- name: job_of_run
select job, selected from pinstripe.runs where n = $1

-- name: first_of_run
select id, tenant, state = 'queued' from pinstripe.executions where run = $1 order by tenant limit $2

-- name: next_of_run
select id, tenant, state = 'queued' from pinstripe.executions where run = $1 and tenant > $3 order by tenant limit $2

-- name: lock_queued
-- What a claim has started meanwhile is left to it.
select id, chunk from pinstripe.executions where id = any($1::bigint[]) and state = 'queued' order by id for update

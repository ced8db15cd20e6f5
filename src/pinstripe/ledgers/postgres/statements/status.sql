-- name: processes
select id, host, pid, code_version, beat, started_at, concurrency, stopping, bot from pinstripe.owners order by id

-- name: running_by_owner
select owner, count(*) from pinstripe.executions where state = 'running' group by owner

-- name: running_longest
-- The first few of each process, each with its run's id.
select owner, job, tenant, (select r.id from pinstripe.runs r where r.n = run), started_at
from (select owner, job, tenant, run, started_at, row_number() over (partition by owner order by started_at, id) as place
  from pinstripe.executions where state = 'running') each
where place <= $1 order by owner, place

-- name: waiting_by_band
-- The oldest of a band has the lowest number, but for some that were made ready again.
select w.band, w.ready, c.ready_at
from (select band, sum(until - tag)::bigint as ready, min(id) as first from pinstripe.chunks where tag is not null group by band) w
join pinstripe.chunks c on c.id = w.first

-- name: held_counts
select held, count(*) from pinstripe.executions where state = 'queued' and held is not null group by held

-- name: future_of_queue
-- How many runs wait for their tenants to be selected, and when the next of all that waits for its time is due.
select
  (select count(*) from pinstripe.runs where queued and not selected and state = 'queued'),
  least(
    (select min(due_at) from pinstripe.executions where state = 'queued' and held = 'due'),
    (select min(first) from pinstripe.bands b, lateral (
      select min(due_at) as first from pinstripe.runs r
      where r.band = b.band and queued and not selected and state = 'queued' and due_at > $1) of_band))

-- name: lacking_jobs
-- Who lacks a job gives back for a moment: what is due later than that need not be looked at.
select job, count(*) from (select job, error from pinstripe.executions
  where state = 'queued' and held = 'due' and due_at <= $1 order by due_at desc limit $3) soon
where starts_with(error, $2) group by job order by job

-- name: lacking_runs
select job, count(*) from pinstripe.runs
where queued and not selected and state = 'queued' and stop is null and error is not null group by job order by job

-- name: pauses
select job, tenant, since from pinstripe.pauses order by since, job, tenant

-- name: waiting_run
-- Of one whose tenants nobody selects yet, when that is due; of one that is selected, how many are open, and neither
-- held nor running.
select n, unselected, case when unselected then due_at end, case when selected then open
  - (select count(*) from pinstripe.executions x where x.run = n and x.state = 'queued' and x.held is not null)
  - (select count(*) from pinstripe.executions x
     where x.owner in (select id from pinstripe.owners) and x.run = n and x.state = 'running') else 0 end,
  not selected and stop is null and error is not null
from (select n, due_at, open, selected, stop, error,
    not selected and (selector is null or selector not in (select id from pinstripe.owners)) as unselected
  from pinstripe.runs where reverse(id) collate "C" = reverse($1) and queued and finished_at is null) r

-- name: held_of_run
select held, count(*), min(due_at) from pinstripe.executions where run = $1 and state = 'queued' and held is not null
group by held

-- name: lacking_of_run
select count(*) from (select error from pinstripe.executions
  where run = $1 and state = 'queued' and held = 'due' and due_at <= $2 order by due_at desc limit $4) soon
where starts_with(error, $3)

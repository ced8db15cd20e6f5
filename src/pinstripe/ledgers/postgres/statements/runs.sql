-- What starts as `reverse(id)` is found by the index of those: it finds a run by its id, and by the end of one.

-- name: create_run
-- Not for a process that was taken for dead: its row is gone, or else stays until this is committed.
insert into pinstripe.runs(id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, owner, created_at,
  trace, redacted)
select $2, $3, 'queued', $4, $5, $6, $7, $8, $9, $10, id, $11::bigint, $12, $13 from pinstripe.owners where id = $1 for key share
returning {columns_of_run}

-- name: some_owner
select 1 from pinstripe.owners limit 1

-- name: run_number
select n, job from pinstripe.runs where reverse(id) = reverse($1) and not pruning

-- name: counted_in
update pinstripe.runs set total = total + $2, open = open + $2
where n = $1 and not selected and state in ('queued', 'running') returning total

-- name: selection_ended
-- A run without executions, or with an error of its own, is closed here; the caller has cancelled its executions first.
update pinstripe.runs set
  selected = selected or $2::text is null,
  error = $2,
  state = case when $2 is not null then 'failed' when open = 0 then
    case when failed > 0 then 'failed' when cancelled > 0 then 'cancelled' else 'succeeded' end else state end,
  finished_at = case when $2 is not null or open = 0 then $3 else finished_at end
where n = $1 and state in ('queued', 'running')

-- name: turning_run
-- Whether the run is selected, and whether anything is paused; no row where it isn't this process's (any more), or this
-- process was taken for dead.
select r.selected, exists (select from pinstripe.pauses)
from pinstripe.owners o join pinstripe.runs r on r.owner = o.id where o.id = $1 and r.n = $2 for key share of o

-- name: settled
with ended as materialized (
  select e.*, succeeded + failed + cancelled + skipped as done, false as begins, $1::bigint as now
  from unnest($2::bigint[], $3::integer[], $4::integer[], $5::integer[], $6::integer[])
    as e(run, succeeded, failed, cancelled, skipped)),
locked as materialized (select n from pinstripe.runs where n = any($2::bigint[]) order by n for no key update)
update pinstripe.runs r set
{count}
from locked join ended e on e.run = locked.n where r.n = locked.n

-- name: run_abandoned
-- A run whose process is gone, after its executions were cancelled. It gets no error: a run that has one has failed.
update pinstripe.runs set
  state = case when failed > 0 or error is not null then 'failed'
               when cancelled > 0 or not selected then 'cancelled' else 'succeeded' end,
  finished_at = coalesce(finished_at, $2)
where n = $1 and state in ('queued', 'running') and open = 0

-- name: run_failed
-- Its error decides how the run ends, when its last execution does.
update pinstripe.runs set error = $2 where n = $1 and state in ('queued', 'running')

-- name: counts
select total, open, succeeded, failed, cancelled, skipped, {running_of_run} from pinstripe.runs where n = $1

-- name: running_of_run
-- By the index of what runs, whose first column is the owner: all of a run may be a hundred thousand.
(select count(*) from pinstripe.owners o cross join lateral (
  select 1 from pinstripe.executions x where x.state = 'running'
    and (x.owner, x.run) >= (o.id, runs.n) and (x.owner, x.run) <= (o.id, runs.n)) each)

-- name: columns_of_run
runs.n, runs.id, runs.job, runs.state, runs.trigger, runs.args, runs.kwargs, runs.selected, runs.retry_of,
runs.parent, runs.scheduled_for, runs.error, runs.created_at, runs.started_at, runs.finished_at,
runs.total, runs.open, runs.succeeded, runs.failed, runs.cancelled, runs.skipped,
case when runs.state = 'running' then {running_of_run} else 0 end as running,
case when runs.total = 1 and runs.succeeded = 1
  then (select x.result from pinstripe.executions x where x.run = runs.n) end as result,
runs.redacted

-- name: run_by_number
select {columns_of_run} from pinstripe.runs where n = $1 and not pruning

-- name: run_by_id
select {columns_of_run} from pinstripe.runs where reverse(id) = reverse($1) and not pruning

-- name: last_run
select {columns_of_run} from pinstripe.runs where parent is null and not pruning order by n desc limit 1

-- name: runs_by_end_of_id
select {columns_of_run} from pinstripe.runs
where reverse(id) >= reverse($1) and reverse(id) < reverse($1) || 'g' and not pruning limit 2

-- name: last_runs_of_jobs
-- The row comparison leads to the index of the job's: by the numbers alone one might have to look far back.
select last.* from unnest($1::text[]) as j(job) cross join lateral (
  select {columns_of_run} from pinstripe.runs
  where (runs.job, n) >= (j.job, 0) and (runs.job, n) <= (j.job, {last_number}) and not pruning
  order by runs.job desc, n desc limit 1) last

-- name: last_number
9223372036854775807

-- name: selection_of
select selection, selected, origin, trace from pinstripe.runs where reverse(id) = reverse($1) and not pruning

-- name: failures
select x.run, x.tenant, x.attempts, x.error, x.traceback from unnest($1::bigint[]) as r(n) cross join lateral (
  select * from pinstripe.executions where run = r.n and state = 'failed' order by tenant limit $2) x

-- name: failures_without_tracebacks
select x.run, x.tenant, x.attempts, x.error, null from unnest($1::bigint[]) as r(n) cross join lateral (
  select * from pinstripe.executions where run = r.n and state = 'failed' order by tenant limit $2) x

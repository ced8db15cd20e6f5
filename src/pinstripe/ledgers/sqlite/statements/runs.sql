-- name: create_run
insert into runs(id, reversed_id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, owner, created_at,
  trace, redacted)
values (:id, :reversed_id, :job, 'queued', :trigger, :args, :kwargs, :selection, :origin, :retry_of, :parent, :owner, :now,
  :trace, :redacted)
returning n

-- name: run_number
select n, job from runs where id = :id and pruning = 0

-- name: counted_in
update runs set total = total + :added, open = open + :added
where n = :run and selected = 0 and state in ('queued', 'running')

-- name: selection_ended
-- A run without executions, or with an error of its own, is closed here; the caller has cancelled its executions first.
update runs set
  selected = case when :error is null then 1 else selected end,
  error = :error,
  state = case when :error is not null then 'failed' when open = 0 then
    case when failed > 0 then 'failed' when cancelled > 0 then 'cancelled' else 'succeeded' end else state end,
  finished_at = case when :error is not null or open = 0 then :now else finished_at end
where n = :run and state in ('queued', 'running')

-- name: run_started
update runs set state = 'running', started_at = coalesce(started_at, :now) where n = :run and state = 'queued'

-- name: settled
-- The counter decides: the settlement that brings `open` to 0 closes the run.
update runs set
  open = open - :done,
  succeeded = succeeded + :succeeded,
  failed = failed + :failed,
  cancelled = cancelled + :cancelled,
  skipped = skipped + :skipped,
  state = case when selected and open = :done then
    case when error is not null or failed + :failed > 0 then 'failed'
         when cancelled + :cancelled > 0 then 'cancelled' else 'succeeded' end else state end,
  finished_at = case when selected and open = :done then :now else finished_at end
where n = :run

-- name: run_abandoned
-- A run whose process is gone, after its executions were cancelled. It gets no error: a run that has one has failed.
update runs set
  state = case when failed > 0 or error is not null then 'failed'
               when cancelled > 0 or not selected then 'cancelled' else 'succeeded' end,
  finished_at = coalesce(finished_at, :now)
where n = :run and state in ('queued', 'running') and open = 0

-- name: run_failed
-- Its error decides how the run ends, when its last execution does.
update runs set error = :error where n = :run and state in ('queued', 'running')

-- name: counts
select total, open, succeeded, failed, cancelled, skipped,
  (select count(*) from executions x
   where x.owner in (select id from owners) and x.run = :run and x.state = 'running')
from runs where n = :run

-- name: columns_of_run
n, id, job, state, trigger, args, kwargs, selected, retry_of, parent, scheduled_for, error,
created_at, started_at, finished_at, total, open, succeeded, failed, cancelled, skipped,
case when state = 'running' then (select count(*) from executions x
  where x.owner in (select id from owners) and x.run = runs.n and x.state = 'running') else 0 end as running,
case when total = 1 and succeeded = 1 then (select result from executions x where x.run = runs.n) end as result,
redacted

-- name: run_by_number
select {columns_of_run} from runs where n = :run and pruning = 0

-- name: run_by_id
select {columns_of_run} from runs where id = :id and pruning = 0

-- name: last_run
select {columns_of_run} from runs where parent is null and pruning = 0 order by n desc limit 1

-- name: runs_by_end_of_id
select {columns_of_run} from runs
where reversed_id >= :reversed and reversed_id < :reversed || 'g' and pruning = 0 limit 2

-- name: last_run_of_job
select {columns_of_run} from runs where job = :job and pruning = 0 order by n desc limit 1

-- name: selection_of
select selection, selected, origin, trace from runs where id = :id and pruning = 0

-- name: failures
select tenant, attempts, error, traceback from executions where run = :run and state = 'failed'
order by tenant limit :limit

-- name: failures_without_tracebacks
select tenant, attempts, error, null from executions where run = :run and state = 'failed'
order by tenant limit :limit

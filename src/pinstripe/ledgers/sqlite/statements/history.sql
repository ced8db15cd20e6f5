-- name: add_tallies
insert into tallies(minute, job, status, executions, duration)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(:tallies) where true
on conflict(minute, job, status) do update set
  executions = executions + excluded.executions, duration = duration + excluded.duration

-- name: tallies
select minute, job, status, executions, duration from tallies where minute >= :since and minute > 0
order by minute, job, status

-- name: totals
select minute, job, status, executions, duration from tallies where minute = 0 order by job, status

-- name: count_running
select count(*) from (select 1 from runs where state = 'running' limit :limit)

-- name: begin_audit
insert into audit(at, door, name, action, job, tenant, run, detail, outcome)
values (:at, :door, :name, :action, :job, :tenant, :run, :detail, :outcome) returning id

-- name: end_audit
update audit set outcome = :outcome, run = coalesce(:found, run) where id = :id

-- name: audit_columns
id, at, door, name, action, job, tenant, run, detail, outcome

-- name: audit_narrowed
(:run is null or run = :run) and (:tenant is null or tenant = :tenant) and (:name is null or name = :name)
and (:job is null or job = :job) and (:action is null or action = :action)

-- name: audit_by_number
select {audit_columns} from audit where id >= :floor and id < :before and {audit_narrowed} order by id desc limit :limit

-- name: audit_by_name
select {audit_columns} from audit indexed by audit_by_name
where name = :name and id >= :floor and id < :before and {audit_narrowed} order by id desc limit :limit

-- name: audit_by_job
select {audit_columns} from audit indexed by audit_of_job
where job = :job and id >= :floor and id < :before and {audit_narrowed} order by id desc limit :limit

-- name: audit_by_tenant
select {audit_columns} from audit indexed by audit_of_tenant
where tenant = :tenant and id >= :floor and id < :before and {audit_narrowed} order by id desc limit :limit

-- name: audit_by_run
select {audit_columns} from audit indexed by audit_of_run
where run = :run and id >= :floor and id < :before and {audit_narrowed} order by id desc limit :limit

-- name: audit_floor_by_number
-- The last entry that one page looks at; nothing where there are fewer.
select id from audit where id < :before order by id desc limit 1 offset :looked

-- name: audit_floor_by_name
select id from audit where name = :name and id < :before order by id desc limit 1 offset :looked

-- name: audit_floor_by_job
select id from audit where job = :job and id < :before order by id desc limit 1 offset :looked

-- name: audit_floor_by_tenant
select id from audit where tenant = :tenant and id < :before order by id desc limit 1 offset :looked

-- name: audit_floor_by_run
select id from audit where run = :run and id < :before order by id desc limit 1 offset :looked

-- name: sizes_of_run
select n, open, succeeded, failed, cancelled, skipped from runs where id = :id and pruning = 0

-- name: execution_in_list
-- As read_execution has it, without what may be long.
x.job, x.tenant, x.state, x.attempts, x.held, x.due_at, substr(x.error, 1, :max_error), null, null, x.started_at,
x.finished_at, null

-- name: executions_by_run
select {execution_in_list} from executions x where x.run = :run and x.tenant >= :first order by x.tenant limit :limit

-- name: executions_by_failed
select {execution_in_list} from executions x indexed by executions_failed
where x.run = :run and x.tenant >= :first and x.state = 'failed' order by x.tenant limit :limit

-- name: executions_by_cancelled
select {execution_in_list} from executions x indexed by executions_cancelled
where x.run = :run and x.tenant >= :first and x.state = 'cancelled' order by x.tenant limit :limit

-- name: executions_by_skipped
select {execution_in_list} from executions x indexed by executions_skipped
where x.run = :run and x.tenant >= :first and x.state = 'skipped' order by x.tenant limit :limit

-- name: executions_by_running
-- They are no more than workers take.
select {execution_in_list} from executions x indexed by executions_running
where x.owner in (select id from owners) and x.run = :run and x.tenant >= :first and x.state = 'running'
order by x.tenant limit :limit

-- name: reach_of_page
-- The last of the tenants that one page looks at, and how many they are.
select max(tenant), count(*) from (
  select tenant from executions where run = :run and tenant >= :first order by tenant limit :looked)

-- name: executions_until
select {execution_in_list} from executions x
where x.run = :run and x.tenant >= :first and x.tenant <= :last and x.state = :state order by x.tenant limit :limit

-- name: tenants_by_run
select tenant from executions where run = :run and tenant >= :first order by tenant limit :looked

-- name: tenants_by_failed
select tenant from executions indexed by executions_failed
where run = :run and tenant >= :first and state = 'failed' order by tenant limit :looked

-- name: tenants_by_cancelled
select tenant from executions indexed by executions_cancelled
where run = :run and tenant >= :first and state = 'cancelled' order by tenant limit :looked

-- name: tenants_by_skipped
select tenant from executions indexed by executions_skipped
where run = :run and tenant >= :first and state = 'skipped' order by tenant limit :looked

-- name: tenants_by_running
select tenant from executions indexed by executions_running
where owner in (select id from owners) and run = :run and tenant >= :first and state = 'running'
order by tenant limit :looked

-- name: executions_for
select {execution_in_list} from executions x
where x.run = :run and x.tenant in (select value from json_each(:tenants)) and (:state is null or x.state = :state)
order by x.tenant

-- name: listed_for_tenant
-- The index of a tenant's executions has not all of those of large runs: these are found from the runs.
select r.n, r.id, {execution_in_list} from executions x indexed by executions_of_tenant cross join runs r on r.n = x.run
where x.tenant = :tenant and x.listed = 1 and x.tenant <> '' and x.run >= :first and x.run < :before and r.pruning = 0
  and (:job is null or x.job = :job) and (:state is null or x.state = :state) order by x.run desc limit :limit

-- name: unlisted_for_tenant
select r.n, r.id, {execution_in_list} from runs r indexed by runs_large
cross join executions x on x.run = r.n and x.tenant = :tenant and x.tenant <> '' and x.listed = 0
where r.total > 1000 and r.n >= :first and r.n < :before and r.pruning = 0
  and (:job is null or x.job = :job) and (:state is null or x.state = :state) order by r.n desc limit :limit

-- name: retries_of
select {columns_of_run} from runs indexed by runs_by_retry
where retry_of = :run and pruning = 0 order by n desc limit :limit

-- name: last_runs_of
select {columns_of_run} from runs indexed by runs_by_job
where job = :job and pruning = 0 order by n desc limit :limit

-- name: durations
-- Of the first that have finished, among twice as many.
select finished_at - started_at from (
  select state, started_at, finished_at from executions where run = :run order by tenant limit :looked)
where state in ('succeeded', 'failed') and started_at is not null and finished_at is not null limit :sampled

-- name: heat_cells
select x.tenant, x.run, x.state from json_each(:runs) runs_here cross join json_each(:tenants) tenants_here
cross join executions x on x.run = runs_here.value and x.tenant = tenants_here.value

-- name: last_failed_runs
select n, id, job from (
  select n, id, job, finished_at from runs indexed by runs_by_state
  where state = 'failed' and pruning = 0 order by n desc limit :looked)
where finished_at >= :since

-- name: running_failed_runs
select n, id, job from (
  select n, id, job, failed from runs indexed by runs_by_state
  where state = 'running' and pruning = 0 order by n desc limit :looked)
where failed > 0

-- name: failures_of_tenant
-- How often one of these runs has failed for a tenant since then, and in which last.
select count(*), max(x.run) from json_each(:runs) runs_here
cross join executions x indexed by executions_failed on x.run = runs_here.value and x.tenant = :tenant and x.state = 'failed'
where x.finished_at >= :since

-- name: last_error
select substr(error, 1, :max_error), finished_at from executions where run = :run and tenant = :tenant

-- name: later_runs
-- Where what failed in a run may have succeeded since: in the job's last runs, and in the last retries of that one.
select n from (select n from runs indexed by runs_by_job
  where job = :job and n > :run and pruning = 0 order by n desc limit :later)
union all
select n from (select n from runs indexed by runs_by_retry
  where retry_of = :id and pruning = 0 order by n desc limit :later)

-- name: mended_in
-- The last run in which what failed for a tenant has succeeded since: one of those runs, or of the last that it had.
select id from runs where pruning = 0 and n = (
  select max(run) from (
    select x.run from json_each(:later_runs) later
    cross join executions x indexed by executions_of_run on x.run = later.value and x.tenant = :tenant
    where x.state = 'succeeded' and x.finished_at >= :failed_at
    union all
    select run from (
      select run, job, state, finished_at from executions indexed by executions_of_tenant
      where tenant = :tenant and listed = 1 and tenant <> '' and run > :run order by run desc limit :of_tenant)
    where job = :job and state = 'succeeded' and finished_at >= :failed_at))

-- name: add_tallies
insert into pinstripe.tallies as t (minute, job, status, executions, duration)
select * from unnest($1::integer[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
on conflict(minute, job, status) do update set
  executions = t.executions + excluded.executions, duration = t.duration + excluded.duration

-- name: tallies
select minute, job, status, executions, duration from pinstripe.tallies where minute >= $1 and minute > 0
order by minute, job, status

-- name: totals
select minute, job, status, executions, duration from pinstripe.tallies where minute = 0 order by job, status

-- name: count_running
select count(*) from (select from pinstripe.runs where state = 'running' limit $1) as running

-- name: begin_audit
insert into pinstripe.audit(at, door, name, action, job, tenant, run, detail, outcome)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id

-- name: begun_audit
-- What may have been written before the connection broke: it is among the last.
select id from (select * from pinstripe.audit order by id desc limit 1000) last
where at = $1 and door = $2 and name = $3 and action = $4 order by id desc limit 1

-- name: end_audit
update pinstripe.audit set outcome = $2, run = coalesce($3, run) where id = $1

-- name: audit_columns
id, at, door, name, action, job, tenant, run, detail, outcome

-- name: audit_narrowed
-- Of each page $1 is the first number, $2 what is behind the last and $3 how many; then run, tenant, name, job, action,
-- null where they are not asked for. Written so that no other index is led to by it.
coalesce(run = $4, $4::text is null) and coalesce(tenant = $5, $5::text is null) and coalesce(name = $6, true)
and coalesce(job = $7, $7::text is null) and coalesce(action = $8, true)

-- name: audit_by_number
select {audit_columns} from pinstripe.audit where id >= $1 and id < $2 and {audit_narrowed} order by id desc limit $3

-- name: audit_by_name
select {audit_columns} from pinstripe.audit
where (name, id) >= ($6, $1) and (name, id) < ($6, $2) and {audit_narrowed} order by name desc, id desc limit $3

-- name: audit_by_job
select {audit_columns} from pinstripe.audit where job is not null
  and (job, id) >= ($7, $1) and (job, id) < ($7, $2) and {audit_narrowed} order by job desc, id desc limit $3

-- name: audit_by_tenant
select {audit_columns} from pinstripe.audit where tenant is not null
  and (tenant, id) >= ($5, $1) and (tenant, id) < ($5, $2) and {audit_narrowed} order by tenant desc, id desc limit $3

-- name: audit_by_run
select {audit_columns} from pinstripe.audit where run is not null
  and (run, id) >= ($4, $1) and (run, id) < ($4, $2) and {audit_narrowed} order by run desc, id desc limit $3

-- name: audit_floor_by_number
-- The last entry that one page looks at; nothing where there are fewer.
select id from pinstripe.audit where id < $1 order by id desc limit 1 offset $2

-- name: audit_floor_by_name
select id from pinstripe.audit where (name, id) >= ($3, 0) and (name, id) < ($3, $1)
order by name desc, id desc limit 1 offset $2

-- name: audit_floor_by_job
select id from pinstripe.audit where job is not null and (job, id) >= ($3, 0) and (job, id) < ($3, $1)
order by job desc, id desc limit 1 offset $2

-- name: audit_floor_by_tenant
select id from pinstripe.audit where tenant is not null and (tenant, id) >= ($3, 0) and (tenant, id) < ($3, $1)
order by tenant desc, id desc limit 1 offset $2

-- name: audit_floor_by_run
select id from pinstripe.audit where run is not null and (run, id) >= ($3, 0) and (run, id) < ($3, $1)
order by run desc, id desc limit 1 offset $2

-- name: sizes_of_run
select n, open, succeeded, failed, cancelled, skipped from pinstripe.runs
where reverse(id) = reverse($1) and not pruning

-- name: execution_in_list
-- As read_execution has it, without what may be long. Of each page of a run $1 is the run, $2 the tenant before it, $3
-- whether there is none, and $4 how many.
x.job, x.tenant, x.state, x.attempts, x.held, x.due_at, left(x.error, {max_error}), null, null, x.started_at,
x.finished_at, null

-- name: max_error
2000

-- name: executions_by_run
select {execution_in_list} from pinstripe.executions x
where x.run = $1 and x.tenant >= $2 and ($3 or x.tenant > $2) order by x.run, x.tenant limit $4

-- name: executions_by_failed
select {execution_in_list} from pinstripe.executions x
where x.run = $1 and x.tenant >= $2 and ($3 or x.tenant > $2) and x.state = 'failed' order by x.run, x.tenant limit $4

-- name: executions_by_cancelled
select {execution_in_list} from pinstripe.executions x
where x.run = $1 and x.tenant >= $2 and ($3 or x.tenant > $2) and x.state = 'cancelled' order by x.run, x.tenant limit $4

-- name: executions_by_skipped
select {execution_in_list} from pinstripe.executions x
where x.run = $1 and x.tenant >= $2 and ($3 or x.tenant > $2) and x.state = 'skipped' order by x.run, x.tenant limit $4

-- name: executions_by_running
-- They are no more than workers take.
select {execution_in_list} from pinstripe.owners o cross join lateral (
  select * from pinstripe.executions e where e.state = 'running'
    and (e.owner, e.run) >= (o.id, $1) and (e.owner, e.run) <= (o.id, $1)) x
where x.tenant >= $2 and ($3 or x.tenant > $2) order by x.tenant limit $4

-- name: reach_of_page
-- The last of the tenants that one page looks at, and how many they are.
select max(tenant), count(*) from (
  select tenant from pinstripe.executions
  where run = $1 and tenant >= $2 and ($3 or tenant > $2) order by run, tenant limit $4) looked

-- name: executions_until
select {execution_in_list} from pinstripe.executions x
where x.run = $1 and x.tenant >= $2 and ($3 or x.tenant > $2) and x.tenant <= $5 and x.state = $6
order by x.run, x.tenant limit $4

-- name: tenants_by_run
select array(select tenant from pinstripe.executions
  where run = $1 and tenant >= $2 and ($3 or tenant > $2) order by run, tenant limit $4)

-- name: tenants_by_failed
select array(select tenant from pinstripe.executions
  where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'failed' order by run, tenant limit $4)

-- name: tenants_by_cancelled
select array(select tenant from pinstripe.executions
  where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'cancelled' order by run, tenant limit $4)

-- name: tenants_by_skipped
select array(select tenant from pinstripe.executions
  where run = $1 and tenant >= $2 and ($3 or tenant > $2) and state = 'skipped' order by run, tenant limit $4)

-- name: tenants_by_running
select array(select x.tenant from pinstripe.owners o cross join lateral (
    select e.tenant from pinstripe.executions e where e.state = 'running'
      and (e.owner, e.run) >= (o.id, $1) and (e.owner, e.run) <= (o.id, $1)) x
  where x.tenant >= $2 and ($3 or x.tenant > $2) order by x.tenant limit $4)

-- name: executions_for
select {execution_in_list} from unnest($2::text[]) as t(tenant) join pinstripe.executions x
  on x.run = $1 and x.tenant = t.tenant
where $3::text is null or x.state = $3 order by x.tenant

-- name: listed_for_tenant
-- The index of a tenant's executions has not all of those of large runs: these are found from the runs.
select r.n, r.id, {execution_in_list} from pinstripe.executions x join pinstripe.runs r on r.n = x.run
where (x.tenant, x.run) >= ($4, $1) and (x.tenant, x.run) < ($4, $6) and x.listed and x.tenant <> ''
  and not r.pruning and coalesce(x.job = $3, true) and coalesce(x.state = $5, true)
order by x.tenant desc, x.run desc limit $2

-- name: unlisted_for_tenant
select r.n, r.id, {execution_in_list} from pinstripe.runs r cross join lateral (
  select * from pinstripe.executions e where e.run = r.n and e.tenant = $4 and e.tenant <> '' and not e.listed limit 1) x
where r.total > 1000 and r.n >= $1 and r.n < $6 and not r.pruning
  and coalesce(x.job = $3, true) and coalesce(x.state = $5, true) order by r.n desc limit $2

-- name: retries_of
select {columns_of_run} from pinstripe.runs
where retry_of = $1 and not pruning order by n desc limit $2

-- name: last_runs_of
-- The row comparison leads to the index of the job's.
select {columns_of_run} from pinstripe.runs
where (job, n) >= ($1, 0) and (job, n) <= ($1, {last_number}) and not pruning order by job desc, n desc limit $2

-- name: durations
-- For each run, of the first that have finished, among twice as many.
select r.n, array(
  select finished_at - started_at from (
    select state, started_at, finished_at from pinstripe.executions x where x.run = r.n order by run, tenant limit $2) looked
  where state in ('succeeded', 'failed') and started_at is not null and finished_at is not null limit $3)
from unnest($1::bigint[]) r(n)

-- name: heat_tenants
-- For each run, tenants that failed in it, and the first that were in it.
select
  array(select tenant from pinstripe.executions x where x.run = r.n and x.state = 'failed' order by run, tenant limit $2),
  array(select tenant from pinstripe.executions x where x.run = r.n order by run, tenant limit $3)
from unnest($1::bigint[]) r(n)

-- name: heat_cells
-- For each run, which of the tenants were in it, and how their executions stand.
select r.n, coalesce(x.tenants, '{}'), coalesce(x.states, '{}') from unnest($1::bigint[]) r(n) cross join lateral (
  select array_agg(tenant) as tenants, array_agg(state) as states from pinstripe.executions
  where run = r.n and tenant = any($2::text[])) x

-- name: last_failed_runs
(select n, id, job from (
  select n, id, job, finished_at from pinstripe.runs
  where (state, n) >= ('failed', 0) and (state, n) <= ('failed', {last_number}) and state <> 'succeeded' and not pruning
  order by state desc, n desc limit $2) failed
where finished_at >= $1)
union all
(select n, id, job from (
  select n, id, job, failed from pinstripe.runs
  where (state, n) >= ('running', 0) and (state, n) <= ('running', {last_number}) and state <> 'succeeded' and not pruning
  order by state desc, n desc limit $2) running
where failed > 0)

-- name: failed_tenants
select r.n,
  array(select tenant from pinstripe.executions x where x.run = r.n and x.state = 'failed' order by run, tenant limit $2)
from unnest($1::bigint[]) r(n)

-- name: failures_of_tenants
-- Of each job and tenant, how often one of these runs has failed since then, in which last, and its error.
select f.failures, f.last, left(e.error, {max_error}), e.finished_at
from unnest($1::text[], $2::text[]) with ordinality g(job, tenant, place)
cross join lateral (
  select count(*) as failures, max(r.n) as last from unnest($3::bigint[], $4::text[]) r(n, job)
  cross join lateral (
    select 1 from pinstripe.executions
    where run = r.n and tenant = g.tenant and state = 'failed' and finished_at >= $5 limit 1) x
  where r.job = g.job) f
left join lateral (
  select error, finished_at from pinstripe.executions where run = f.last and tenant = g.tenant limit 1) e on true
order by g.place

-- name: mended_in
-- For each job and tenant, the last run in which what failed for it in a run, at a time, has succeeded since: one of the
-- job's last, of the last retries of that run, or of the last that the tenant had.
select (select r.id from pinstripe.runs r where not r.pruning and r.n = (
  select max(found.run) from (
    (select x.run from (
      select n from pinstripe.runs later where (later.job, later.n) > (g.job, g.run)
        and (later.job, later.n) <= (g.job, {last_number}) and not later.pruning
      order by later.job desc, later.n desc limit $6) later
    cross join lateral (
      select e.run from pinstripe.executions e where e.run = later.n and e.tenant = g.tenant
        and e.state = 'succeeded' and e.finished_at >= g.failed_at limit 1) x)
    union all
    (select x.run from (
      select n from pinstripe.runs retry where retry.retry_of = g.id and not retry.pruning order by n desc limit $6) retry
    cross join lateral (
      select e.run from pinstripe.executions e where e.run = retry.n and e.tenant = g.tenant
        and e.state = 'succeeded' and e.finished_at >= g.failed_at limit 1) x)
    union all
    (select last.run from (
      select e.run, e.job, e.state, e.finished_at from pinstripe.executions e
      where (e.tenant, e.run) > (g.tenant, g.run) and (e.tenant, e.run) <= (g.tenant, {last_number})
        and e.listed and e.tenant <> '' order by e.tenant desc, e.run desc limit $7) last
    where last.job = g.job and last.state = 'succeeded' and last.finished_at >= g.failed_at)) found))
from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])
  with ordinality g(job, tenant, run, id, failed_at, place)
order by g.place

-- Of each list $1 is the first number, and $2 how many; then job, tenant, state, since, null where they are not asked
-- for, and what is behind the last number. A row comparison leads to the index that was chosen, and to its order.

-- name: first_run_since
-- From which number on all runs were recorded at that moment or later, by halves: they are numbered in about the order
-- in which they are recorded, and there is no index of that. No row where there are none.
with recursive search(low, high) as (
  select min(n), max(n) + 1 from pinstripe.runs
  union all
  select case when found.created_at < $1 then found.n + 1 else low end,
    case when found.created_at < $1 then high else (low + high) / 2 end
  from search cross join lateral (
    select n, created_at from pinstripe.runs where n >= (low + high) / 2 order by n limit 1) found
  where low < high)
select low from search where low >= high

-- name: some_of_tenant
select count(*) from (
  select 1 from pinstripe.executions where (tenant, run) >= ($1, $2) and (tenant, run) <= ($1, {last_number})
    and listed and tenant <> '' limit $3) found

-- name: some_of_job
select count(*) from (
  select 1 from pinstripe.runs where (job, n) >= ($1, $2) and (job, n) <= ($1, {last_number}) limit $3) found

-- name: some_of_state
select count(*) from (
  select 1 from pinstripe.runs where (state, n) >= ($1, $2) and (state, n) <= ($1, {last_number})
    and state <> 'succeeded' limit $3) found

-- name: some_of_end
select count(*) from (
  select 1 from pinstripe.runs where {succeeded_runs} order by state, finished_at limit $1) found

-- name: succeeded_runs
(state, finished_at) >= ('succeeded', 0) and (state, finished_at) <= ('succeeded', {last_number})
and finished_at is not null and not pruning

-- name: listed_by_number
select {columns_of_run} from pinstripe.runs where n >= $1 and n < $7 {narrowed} order by n desc limit $2

-- name: listed_by_job
select {columns_of_run} from pinstripe.runs
where (job, n) >= ($3, $1) and (job, n) < ($3, $7) {narrowed} order by job desc, n desc limit $2

-- name: listed_by_state
select {columns_of_run} from pinstripe.runs
where (state, n) >= ($5, $1) and (state, n) < ($5, $7) and state <> 'succeeded' {narrowed}
order by state desc, n desc limit $2

-- name: listed_by_end
-- Those that succeeded, where they are few.
select {columns_of_run} from pinstripe.runs
where n = any(array(select n from pinstripe.runs where {succeeded_runs} order by state, finished_at)) and n >= $1 and n < $7 {narrowed}
order by n desc limit $2

-- name: listed_by_tenant
-- The index of a tenant's executions is in the order of the runs. It has not all of those of large runs.
select {columns_of_run} from pinstripe.executions mine join pinstripe.runs on n = mine.run
where (mine.tenant, mine.run) >= ($4, $1) and (mine.tenant, mine.run) < ($4, $7)
  and mine.listed and mine.tenant <> '' {narrowed}
order by mine.tenant desc, mine.run desc limit $2

-- name: listed_by_size
select {columns_of_run} from pinstripe.runs where total > 1000 and n >= $1 and n < $7 {narrowed} order by n desc limit $2

-- name: narrowed
-- Written so that no other index is led to by it. One look for each at the tenant's execution, since it has a limit.
and not runs.pruning and coalesce(runs.job = $3, true) and coalesce(runs.state = $5, true)
and coalesce(runs.created_at >= $6::bigint, true)
and ($4::text is null or (
  select 1 from pinstripe.executions x where x.run = runs.n and x.tenant = $4 and x.tenant <> '' limit 1) is not null)

-- name: floor_of_number
-- The last run that one page looks at; nothing where there are fewer. So for each index.
select n from pinstripe.runs where n >= $1 and n < $2 order by n desc limit 1 offset $3

-- name: floor_of_job
select n from pinstripe.runs where (job, n) >= ($4, $1) and (job, n) < ($4, $2)
order by job desc, n desc limit 1 offset $3

-- name: floor_of_state
select n from pinstripe.runs where (state, n) >= ($4, $1) and (state, n) < ($4, $2) and state <> 'succeeded'
order by state desc, n desc limit 1 offset $3

-- name: floor_of_tenant
select run from pinstripe.executions
where (tenant, run) >= ($4, $1) and (tenant, run) < ($4, $2) and listed and tenant <> ''
order by tenant desc, run desc limit 1 offset $3

-- name: floor_of_size
select n from pinstripe.runs where total > 1000 and n >= $1 and n < $2 order by n desc limit 1 offset $3

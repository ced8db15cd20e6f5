-- name: first_run_since
-- Runs are numbered as they are recorded, up to the moments that their processes took to get there.
select min(n) from (select n from runs where created_at >= :since order by created_at limit 1000)

-- name: some_of_tenant
select count(*) from (
  select 1 from executions where tenant = :tenant and listed = 1 and tenant <> '' and run >= :first limit :many)

-- name: some_of_job
select count(*) from (select 1 from runs where job = :job and n >= :first limit :many)

-- name: some_of_state
select count(*) from (select 1 from runs where state = :state and n >= :first limit :many)

-- name: listed_by_number
select {columns_of_run} from runs where n >= :first and n < :before and pruning = 0 {narrowed} order by n desc limit :limit

-- name: listed_by_job
select {columns_of_run} from runs indexed by runs_by_job
where job = :job and n >= :first and n < :before and pruning = 0 {narrowed} order by n desc limit :limit

-- name: listed_by_state
select {columns_of_run} from runs indexed by runs_by_state
where state = :state and n >= :first and n < :before and pruning = 0 {narrowed} order by n desc limit :limit

-- name: listed_by_tenant
-- The index of a tenant's executions is in the order of the runs. It has not all of those of large runs.
select {columns_of_run} from (
  select run as found from executions
  where tenant = :tenant and listed = 1 and tenant <> '' and run >= :first and run < :before)
  cross join runs on n = found
where pruning = 0 {narrowed} order by found desc limit :limit

-- name: listed_by_size
select {columns_of_run} from runs indexed by runs_large
where total > 1000 and n >= :first and n < :before and pruning = 0 {narrowed} order by n desc limit :limit

-- name: narrowed
and (:job is null or job = :job) and (:state is null or state = :state) and (:since is null or created_at >= :since)
and (:tenant is null or exists (select 1 from executions x where x.run = n and x.tenant = :tenant and x.tenant <> ''))

-- name: floor_of_job
-- The last run that one page looks at; nothing where there are fewer. So for each index.
select n from runs where job = :job and n >= :first and n < :before order by n desc limit 1 offset :looked

-- name: floor_of_state
select n from runs where state = :state and n >= :first and n < :before order by n desc limit 1 offset :looked

-- name: floor_of_tenant
select run from executions
where tenant = :tenant and listed = 1 and tenant <> '' and run >= :first and run < :before
order by run desc limit 1 offset :looked

-- name: floor_of_size
select n from runs where total > 1000 and n >= :first and n < :before order by n desc limit 1 offset :looked

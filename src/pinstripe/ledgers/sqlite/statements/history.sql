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

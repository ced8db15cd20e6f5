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

-- name: old_runs
-- The oldest of those that ended long enough ago. A retry stays as long as what it retried: without it, whoever
-- succeeded in it would be run once more.
select n, total from pinstripe.runs r
where (state, finished_at) >= ($1, 0) and (state, finished_at) < ($1, $2) and finished_at is not null and not pruning
  and (select 1 from pinstripe.runs o where reverse(o.id) = reverse(r.retry_of) limit 1) is null
order by state, finished_at limit $3 for update of r skip locked

-- name: mark_for_pruning
update pinstripe.runs set pruning = true, key = null where n = $1

-- name: next_pruned
select n from pinstripe.runs where pruning order by n limit 1 for update skip locked

-- name: prune_executions_of
delete from pinstripe.executions where run = any($1::bigint[]) returning id

-- name: prune_some_executions
delete from pinstripe.executions
where id = any(array(select id from pinstripe.executions where run = $1 order by run, tenant limit $2)) returning id

-- name: prune_logs
delete from pinstripe.logs where execution = any($1::bigint[])

-- name: prune_runs
delete from pinstripe.runs where n = any($1::bigint[])

-- name: old_logs
delete from pinstripe.logs where execution = any(array(
  select execution from pinstripe.logs where succeeded_at < $1 order by succeeded_at limit $2 for update skip locked))

-- name: old_local_fires
delete from pinstripe.local_fires where ctid = any(array(
  select f.ctid from pinstripe.schedules s cross join lateral (
    select ctid from pinstripe.local_fires where schedule = s.id and local_time < $1
    order by local_time limit $2 for update skip locked) f
  limit $2))

-- name: old_zones
delete from pinstripe.schedule_zones where ctid = any(array(
  select z.ctid from pinstripe.schedule_zones z join pinstripe.schedules s on s.id = z.schedule
  where s.gone_at < $1 or z.gone_at < $1 limit $2 for update of z skip locked))

-- name: old_schedules
-- What is kept of it has gone before it.
delete from pinstripe.schedules where id = any(array(
  select id from pinstripe.schedules s where gone_at < $1
    and not exists (select from pinstripe.schedule_zones z where z.schedule = s.id)
    and not exists (select from pinstripe.local_fires f where f.schedule = s.id) limit $2 for update skip locked))

-- name: old_tallies
delete from pinstripe.tallies where ctid = any(array(
  select ctid from pinstripe.tallies where minute > 0 and minute < $1 order by minute limit $2 for update skip locked))

-- name: old_audit
-- The first entries are the oldest. They are not locked before: mostly none of them has to go.
delete from pinstripe.audit where id = any(array(
  select id from (select id, at from pinstripe.audit order by id limit $2) oldest where at < $1))

-- name: mark_for_pruning
-- Runs that ended long enough ago leave the screen whole, before their rows go. A retry stays as long as what it
-- retried: without it, whoever succeeded in it would be run once more.
update runs set pruning = 1, key = null where n in (
  select n from runs r where state = 'succeeded' and finished_at < :succeeded and pruning = 0 and {is_no_retry} limit :limit)
or n in (
  select n from runs r where state = 'failed' and finished_at < :failed and pruning = 0 and {is_no_retry} limit :limit)
or n in (
  select n from runs r where state = 'cancelled' and finished_at < :failed and pruning = 0 and {is_no_retry} limit :limit)

-- name: is_no_retry
not exists (select 1 from runs o where o.id = r.retry_of)

-- name: next_pruned
select n from runs where pruning = 1 order by n limit 1

-- name: executions_to_prune
select id from executions where run = :run limit :limit

-- name: prune_logs
delete from logs where execution in (select value from json_each(:ids))

-- name: prune_executions
delete from executions where id in (select value from json_each(:ids))

-- name: prune_run
delete from runs where n = :run

-- name: old_logs
delete from logs where execution in (
  select execution from logs where succeeded_at < :before order by succeeded_at limit :limit)

-- name: old_local_fires
delete from local_fires where (schedule, local_time, tenant) in (
  select f.schedule, f.local_time, f.tenant from schedules s
  cross join local_fires f on f.schedule = s.id and f.local_time < :before limit :limit)

-- name: old_zones
delete from schedule_zones where (schedule, zone) in (
  select z.schedule, z.zone from schedules s cross join schedule_zones z on z.schedule = s.id
  where s.gone_at < :before or z.gone_at < :before limit :limit)

-- name: old_schedules
-- What is kept of it has gone before it.
delete from schedules where id in (
  select id from schedules s where gone_at < :before
    and not exists (select 1 from schedule_zones z where z.schedule = s.id)
    and not exists (select 1 from local_fires f where f.schedule = s.id) limit :limit)

-- name: old_tallies
delete from tallies where (minute, job, status) in (
  select minute, job, status from tallies where minute > 0 and minute < :before limit :limit)

-- name: old_audit
-- The first entries are the oldest.
delete from audit where id in (select id from (select id, at from audit order by id limit :limit) where at < :before)

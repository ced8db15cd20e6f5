-- What a process does that has a row locks that "for key share": so it isn't removed meanwhile, but may beat.

-- name: register_owner
insert into pinstripe.owners(name, host, boot_id, pid, code_version, beat, expires_at)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing returning id

-- name: owner_by_name
select id from pinstripe.owners where name = $1

-- name: beat
update pinstripe.owners set beat = $2, expires_at = $3 where id = $1

-- name: found_owners
-- Whose lease is over, and all of this host, whose processes can be looked for; and for how long the server has been up.
select id, name, host, boot_id, pid, beat, expires_at, worker, stopping,
  extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8
from pinstripe.owners where id <> $1 and (expires_at < $2 or (host = $3 and boot_id = $4)) order by id

-- name: expire_owner
update pinstripe.owners set expires_at = 0 where id = $1

-- name: delete_owner
-- Never while it has an open run or an execution that runs: that would belong to nobody, and be open for ever. Its row
-- is locked before, by another statement: what it started until then is seen by this one.
delete from pinstripe.owners where id = $1
  and not exists (select from pinstripe.runs where owner = $1 and state in ('queued', 'running'))
  and not exists (select from pinstripe.executions where owner = $1 and state = 'running')

-- name: heard_workers
select pid, beat from pinstripe.owners where host = $1 and boot_id = $2 and worker and not stopping order by id

-- name: join_owner
update pinstripe.owners set worker = true, concurrency = $2, started_at = coalesce(started_at, beat) where id = $1

-- name: owner_stopping
update pinstripe.owners set stopping = true where id = $1

-- name: process_stopping
update pinstripe.owners set stopping = true where host = $1 and pid = $2 and boot_id = $3

-- name: open_runs_of_owner
select n, id from pinstripe.runs where owner = $1 and state in ('queued', 'running') order by n

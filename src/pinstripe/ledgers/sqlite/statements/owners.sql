-- name: register_owner
insert into owners(name, host, boot_id, pid, code_version, beat)
values (:name, :host, :boot_id, :pid, :code_version, :now) returning id

-- name: beat
update owners set beat = :now where id = :owner

-- name: other_owners
select id, name, host, boot_id, pid, beat, worker, stopping from owners where id <> :owner order by id

-- name: owner_row
select 1 from owners where id = :owner

-- name: worker_row
select 1 from owners where id = :owner and worker = 1

-- name: may_start
-- Whether the run is selected; no row where it isn't this process's (any more), or this process was taken for dead.
select r.selected from owners o join runs r on r.owner = o.id where o.id = :owner and r.n = :run

-- name: delete_owner
-- Never while it has an open run or an execution that runs: that would belong to nobody, and be open for ever.
delete from owners where id = :owner
  and not exists (select 1 from runs where owner = :owner and state in ('queued', 'running'))
  and not exists (select 1 from executions where owner = :owner and state = 'running')

-- name: heard_workers
select pid, beat from owners where host = :host and worker = 1 and stopping = 0 order by id

-- name: join_owner
update owners set worker = 1, concurrency = :concurrency, started_at = coalesce(started_at, beat) where id = :owner

-- name: owner_stopping
update owners set stopping = 1 where id = :owner

-- name: process_stopping
update owners set stopping = 1 where host = :host and pid = :pid

-- name: open_runs_of_owner
select n, id from runs where owner = :owner and state in ('queued', 'running') order by n

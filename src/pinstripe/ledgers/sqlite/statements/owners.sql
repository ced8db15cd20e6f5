-- name: register_owner
insert into owners(name, host, boot_id, pid, code_version, beat)
values (:name, :host, :boot_id, :pid, :code_version, :now) returning id

-- name: beat
update owners set beat = :now where id = :owner

-- name: other_owners
select id, name, host, boot_id, pid, beat from owners where id <> :owner order by id

-- name: is_owner
select 1 from owners where id = :owner

-- name: delete_owner
delete from owners where id = :owner

-- name: open_runs_of_owner
select n, id from runs where owner = :owner and state in ('queued', 'running') order by n

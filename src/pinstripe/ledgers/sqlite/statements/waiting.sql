-- What is for workers, read whole: for tests of applications, whose ledgers are small.

-- name: runs_of_workers
select n, id, finished_at is not null from runs where n > 0 and queued = 1 and pruning = 0 order by n

-- name: waiting_work
select
  r.n, r.id, r.job, e.tenant, r.args, r.kwargs, r.band, r.key, e.attempts, r.selected,
  case when r.selected = 0 then iif(r.due_at > r.created_at, r.due_at, null) when e.held = 'due' then e.due_at end
from runs r left join executions e on e.run = r.n and e.state = 'queued' and r.selected = 1
where r.state in ('queued', 'running') and r.queued = 1 and (r.selected = 0 or e.id is not null)

-- name: due_executions
select id, run from pinstripe.executions where state = 'queued' and held = 'due' and due_at <= $1
order by due_at limit $2 for update skip locked

-- name: resumed_tenants
-- From job to job and from tenant to tenant: as many looks as there are pauses, however much each holds.
with recursive found(job, tenant, is_job_held, is_held) as (
  (select x.job, x.tenant, {is_job_paused}, {is_tenant_paused} from pinstripe.executions x
   where {is_paused} order by x.job, x.tenant limit 1)
  union all
  select x.job, x.tenant, {is_job_paused}, {is_tenant_paused} from found f cross join lateral (
    (select x.job, x.tenant from pinstripe.executions x
     where {is_paused} and not f.is_job_held and (x.job, x.tenant) > (f.job, f.tenant) order by x.job, x.tenant limit 1)
    union all
    (select x.job, x.tenant from pinstripe.executions x
     where {is_paused} and f.is_job_held and x.job > f.job order by x.job, x.tenant limit 1)) x)
select job, tenant from found where not is_job_held and not is_held limit $1

-- name: is_paused
x.state = 'queued' and x.held = 'paused'

-- name: is_job_paused
exists (select from pinstripe.pauses p where p.job in ('', x.job) and p.tenant = '')

-- name: is_tenant_paused
(x.tenant <> '' and exists (select from pinstripe.pauses p where p.job in ('', x.job) and p.tenant = x.tenant))

-- name: resumed_executions
select x.id, x.run from unnest($1::text[], $2::text[]) as p(job, tenant) cross join lateral (
  select e.id, e.run from pinstripe.executions e
  where e.state = 'queued' and e.held = 'paused' and e.job = p.job and e.tenant = p.tenant
  limit $3 for update skip locked) x
limit $3

-- name: flows_of_runs
-- One has no flow while its tenants are being selected.
select n, flow, band from pinstripe.runs where n = any($1::bigint[])

-- name: flows_of_selecting
-- As flows_of_runs, and so that no selection ends before this transaction: it makes ready what was put in until then.
-- Nothing more is locked: who adds a page of it may wait for a guard that this transaction hands over. And where the
-- selection has just ended, others may count what has ended of the run.
select n, flow, band from pinstripe.runs where n = any($1::bigint[]) order by n for key share

-- name: make_ready
update pinstripe.executions x set held = null, chunk = r.chunk, due_at = null
from unnest($1::bigint[], $2::bigint[]) as r(id, chunk)
where x.id = r.id and x.state = 'queued' and x.chunk is null

-- name: add_hidden_chunks
insert into pinstripe.chunks(id, run, flow, band, until)
select h.id, h.run, 'r:' || h.run, h.band, h.size
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) as h(id, run, band, size)

-- name: fronts
with f as (select * from unnest($1::smallint[], $2::text[], $3::bigint[]) as f(band, flow, finish))
{note_fronts}

-- name: note_fronts
-- In one order, for whoever notes the same ones.
insert into pinstripe.flows(band, flow, finish)
select f.band, f.flow, f.finish from f order by f.band, f.flow collate "C"
on conflict (band, flow) do update set finish = greatest(flows.finish, excluded.finish)

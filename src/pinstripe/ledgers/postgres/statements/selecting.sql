-- A run is locked while a page of it is added, and more strictly while its selection ends: what puts executions of it
-- into chunks that nobody sees (`for key share`) is kept from the second alone.

-- name: lock_selecting
-- No row where it isn't this process's to select any more.
select total, band, schedule, overlap, coalesce(scheduled_for, due_at), spread, local_time from pinstripe.runs
where n = $1 and {is_selected_by}
for no key update

-- name: lock_selected
select 1 from pinstripe.runs where n = $1 and {is_selected_by} for update

-- name: is_selected_by
selector = $2 and not selected and state = 'queued' and stop is null
  and exists (select from pinstripe.owners where id = $2)

-- name: number_of_schedule
-- It is not removed meanwhile.
select id from pinstripe.schedules where job = $1 and key = $2 for key share

-- name: note_local_time
-- In one order, since another run may note some of the same tenants at this moment: then this one waits for that.
insert into pinstripe.local_fires(schedule, local_time, tenant)
select $1, $2, tenant from unnest($3::text[]) as tenant order by tenant
on conflict do nothing returning tenant

-- name: executions_there
-- One by one: by its own statistics the planner would rather read all of a run that grows.
select t.tenant from unnest($2::text[]) as t(tenant) cross join lateral (
  select from pinstripe.executions x where x.run = $1 and x.tenant = t.tenant limit 1) x

-- name: select_executions
insert into pinstripe.executions(id, run, tenant, job, state, held, chunk, due_at, listed, error, finished_at)
select x.id, $1, x.tenant, $2, x.state, x.held, x.chunk, x.due_at, $3, case x.state when 'skipped' then $4::text end,
  case x.state when 'skipped' then $5::bigint end
from unnest($6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[])
  as x(id, tenant, state, held, chunk, due_at)

-- name: hide_chunks
insert into pinstripe.chunks(id, run, flow, band, until)
select c.id, $1, 'r:' || $1::bigint, $2, c.size from unnest($3::bigint[], $4::bigint[]) as c(id, size)

-- name: count_selected
update pinstripe.runs set total = total + $2, open = open + $2 - $3, skipped = skipped + $3 where n = $1

-- name: size_of_run
select total, band from pinstripe.runs where n = $1

-- name: only_tenant
select tenant from pinstripe.executions where run = $1 limit 1

-- name: set_flow
update pinstripe.runs set flow = $2 where n = $1

-- name: show_chunks
with placed as (
  select id, until as size, sum(until) over (order by id)::bigint as upto
  from pinstripe.chunks where run = $1 and tag is null)
update pinstripe.chunks c set flow = $2, tag = $3 + p.upto - p.size, until = $3 + p.upto, ready_at = $4
from placed p where c.id = p.id
returning c.id, c.tag

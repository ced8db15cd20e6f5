-- name: lock_limits
-- Whoever counts the slots of a job has its row here; who hasn't any has no limits.
select job, total, per_tenant from pinstripe.limits where job = any($1::text[]) order by job for update

-- name: slots_in_use
-- Which of some executions have one; how many some jobs have; and how many some tenants have.
select 0, job, tenant, execution from pinstripe.slots where execution = any($1::bigint[])
union all
select 1, job, '', count(*) from pinstripe.slots where job = any($2::text[]) group by job
union all
select 2, each.job, each.tenant,
  (select count(*) from pinstripe.slots s where s.job = each.job and s.tenant = each.tenant)
from unnest($3::text[], $4::text[]) as each(job, tenant)

-- name: lesser
-- What has a slot of these jobs, or of these tenants, and waits in a lower band for its turn: the last to be served first.
select x.id, s.job, s.tenant, x.chunk, c.band, c.tag
from (select execution, job, tenant from pinstripe.slots where job = any($1::text[])
      union
      select o.execution, o.job, o.tenant from unnest($2::text[], $3::text[]) as each(job, tenant)
      join pinstripe.slots o on o.job = each.job and o.tenant = each.tenant) s
join pinstripe.executions x on x.id = s.execution
join pinstripe.chunks c on c.id = x.chunk
where x.state = 'queued' and c.band > $4
order by c.band desc, c.tag desc, x.id desc

-- name: take_slots
insert into pinstripe.slots(execution, job, tenant) select * from unnest($1::bigint[], $2::text[], $3::text[])
on conflict do nothing

-- name: free_slots
delete from pinstripe.slots where execution = any($1::bigint[]) returning job, tenant

-- name: places
-- Of what waits for a limit: the last of some tenants, the last of some runs, the first of some jobs.
select 0, each.job, each.tenant, each.band::bigint,
  (select max(x.tag) from pinstripe.executions x where {is_limited}
     and x.job = each.job and x.tenant = each.tenant and x.band = each.band)
from unnest($1::text[], $2::text[], $3::smallint[]) as each(job, tenant, band)
union all
select 1, '', '', each.run,
  (select max(x.tag) from pinstripe.executions x where {is_limited} and x.run = each.run and x.due_at is null)
from unnest($4::bigint[]) as each(run)
union all
select 2, each.job, '', each.band::bigint,
  (select min(x.tag) from pinstripe.executions x where {is_limited} and x.job = each.job and x.band = each.band)
from unnest($5::text[], $6::smallint[]) as each(job, band)

-- name: is_limited
x.state = 'queued' and x.held = 'limit'

-- name: uncap
-- As many as there are slots for their tenant. One whose turn has come goes to the next round of those who share the
-- limit, where its tag is beyond that. `least` is of those that are not null.
with free as materialized (
  select e.id, e.next_round from unnest($1::text[], $2::text[], $3::integer[]) as t(job, tenant, most)
  left join pinstripe.limits l on l.job = t.job
  cross join lateral (
    select x.id, (select min(h.tag) + 1 from pinstripe.executions h
      where h.state = 'queued' and h.held = 'limit' and h.job = t.job and h.band = x.band) as next_round
    from pinstripe.executions x
    where x.state = 'queued' and x.held = 'tenant_limit' and x.job = t.job and x.tenant = t.tenant
    order by x.band, x.tag, x.id
    limit greatest(0, least(t.most, l.per_tenant - {slots_of_tenant})) for update of x skip locked) e
  limit $5)
update pinstripe.executions x
set held = 'limit', tag = case when $4::boolean then least(x.tag, free.next_round) else x.tag end
from free where x.id = free.id and (x.state = 'queued' and x.held = 'tenant_limit') is true
returning x.job, x.tenant

-- name: slots_of_tenant
(select count(*) from pinstripe.slots s where s.job = t.job and s.tenant = t.tenant)

-- name: first_limited
-- Of each job as many as there are slots free, at most $4, with how many slots their tenants have.
select t.job, f.free, x.id, x.run, x.tenant,
  case when t.per_tenant is null then 0
       else (select count(*) from pinstripe.slots s where s.job = t.job and s.tenant = x.tenant) end
from unnest($1::text[], $2::integer[], $3::integer[]) as t(job, total, per_tenant)
cross join lateral (select least($4::bigint, case when t.total is not null then
  t.total - (select count(*) from pinstripe.slots s where s.job = t.job) end) as free) f
cross join lateral (
  select x.id, x.run, x.tenant, x.band, x.tag from pinstripe.executions x where {is_limited} and x.job = t.job
  order by x.band, x.tag, x.id limit greatest(0, f.free) for update skip locked) x
order by t.job, x.band, x.tag, x.id

-- name: cap
update pinstripe.executions set held = 'tenant_limit' where id = any($1::bigint[]) and state = 'queued'

-- name: jobs_with_free_slots
-- Of those whose limit holds something.
with recursive limited(job) as (
  (select x.job from pinstripe.executions x where {is_limited} order by x.job limit 1)
  union all
  select x.job from limited p cross join lateral (
    select x.job from pinstripe.executions x where {is_limited} and x.job > p.job order by x.job limit 1) x)
select t.job from limited t left join pinstripe.limits l on l.job = t.job
where l.total is null or l.total > (select count(*) from pinstripe.slots s where s.job = t.job)

-- name: capped_tenants
-- A page of those whose limit holds something, with how many slots are free; null is any number.
with recursive capped(job, tenant, place) as (
  (select x.job, x.tenant, 1 from pinstripe.executions x where {is_capped} and (x.job, x.tenant) > ($1, $2)
   order by x.job, x.tenant limit 1)
  union all
  select x.job, x.tenant, p.place + 1 from capped p cross join lateral (
    select x.job, x.tenant from pinstripe.executions x where {is_capped} and (x.job, x.tenant) > (p.job, p.tenant)
    order by x.job, x.tenant limit 1) x
  where p.place < $3)
select t.job, t.tenant, l.per_tenant - {slots_of_tenant}
from capped t left join pinstripe.limits l on l.job = t.job order by t.place

-- name: is_capped
x.state = 'queued' and x.held = 'tenant_limit'

-- name: stale_slots
-- Of what neither runs nor is ready.
select s.execution, s.job from pinstripe.slots s where not {has_use} limit $1

-- name: has_use
exists (select from pinstripe.executions x
  where x.id = s.execution and (x.state = 'running' or x.state = 'queued' and x.chunk is not null))

-- name: free_stale_slots
delete from pinstripe.slots s where s.execution = any($1::bigint[]) and not {has_use} returning s.job, s.tenant

-- name: take_missing_slots
-- For what began to run as its job got its limits.
insert into pinstripe.slots(execution, job, tenant)
select x.id, x.job, x.tenant from pinstripe.limits l
join pinstripe.executions x on x.job = l.job and x.state = 'running'
join pinstripe.runs r on r.n = x.run and r.queued
where not exists (select from pinstripe.slots s where s.execution = x.id)
order by x.id for share of x
on conflict do nothing

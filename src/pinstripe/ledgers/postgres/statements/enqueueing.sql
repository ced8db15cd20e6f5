-- name: runs_of_ids
select n, id from pinstripe.runs where reverse(id) collate "C" in (select reverse(id) from unnest($1::text[]) as id)

-- name: known_schedules
select s.job, s.key from unnest($1::text[], $2::text[]) as a(job, key)
join pinstripe.schedules s on s.job = a.job and s.key = a.key

-- name: runs_of_keys
select r.job, r.key_tenant, r.key, r.n from unnest($1::text[], $2::text[], $3::text[]) as k(job, tenant, key)
join pinstripe.runs r on r.job = k.job and r.key_tenant = k.tenant and r.key = k.key

-- name: new_execution_ids
select nextval('pinstripe.executions_id_seq') from generate_series(1, $1)

-- name: new_numbers
-- For runs, executions and chunks, each given once for all; and up to where some flows are served or wait to be.
select array(select nextval('pinstripe.runs_n_seq') from generate_series(1, $1)),
  array(select nextval('pinstripe.executions_id_seq') from generate_series(1, $2)),
  array(select nextval('pinstripe.chunks_id_seq') from generate_series(1, $3)),
  array(
    select greatest(b.served, coalesce(w.finish, 0), coalesce(
      (select until from pinstripe.chunks c where c.band = f.band and c.flow = f.flow and c.tag is not null
       order by until desc limit 1), 0))
    from unnest($4::smallint[], $5::text[]) with ordinality as f(band, flow, place)
    join pinstripe.bands b on b.band = f.band
    left join pinstripe.flows w on w.band = f.band and w.flow = f.flow
    order by f.place)

-- name: enqueue_runs
-- Of those that have a key only the first is written; whoever comes second waits for the first one's transaction.
insert into pinstripe.runs(n, id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, created_at,
  queued, selected, total, open, band, flow, due_at, key, key_tenant, crashes, schedule, scheduled_for, overlap,
  retry_until, spread, local_time, finished_at, trace, redacted)
select n, id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, $29,
  true, selected, total, total, band, flow, due_at, key, key_tenant, crashes, schedule, scheduled_for, overlap,
  retry_until, spread, local_time, finished_at, trace, redacted
from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::text[], $11::text[], $12::boolean[], $13::integer[], $14::smallint[], $15::text[], $16::bigint[], $17::text[],
  $18::text[], $19::integer[], $20::text[], $21::bigint[], $22::text[], $23::bigint[], $24::bigint[], $25::text[],
  $26::bigint[], $27::text[], $28::text[])
as r(n, id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, selected, total, band, flow, due_at,
  key, key_tenant, crashes, schedule, scheduled_for, overlap, retry_until, spread, local_time, finished_at, trace,
  redacted)
on conflict (job, key_tenant, key) where key is not null do nothing
returning n

-- name: enqueue_executions
with made as (
  insert into pinstripe.chunks(id, run, flow, band, tag, until, ready_at)
  select c.*, $17 from unnest($11::bigint[], $12::bigint[], $13::text[], $14::smallint[], $15::bigint[], $16::bigint[]) as c)
insert into pinstripe.executions(id, run, tenant, job, state, held, chunk, due_at, error, finished_at)
select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
  $9::text[], $10::bigint[])

-- name: enqueue
-- All in one, where no run has a key.
with run as ({enqueue_runs}),
made as (
  insert into pinstripe.chunks(id, run, flow, band, tag, until, ready_at)
  select c.*, $29 from unnest($40::bigint[], $41::bigint[], $42::text[], $43::smallint[], $44::bigint[], $45::bigint[]) as c)
insert into pinstripe.executions(id, run, tenant, job, state, held, chunk, due_at, error, finished_at)
select * from unnest($30::bigint[], $31::bigint[], $32::text[], $33::text[], $34::text[], $35::text[], $36::bigint[],
  $37::bigint[], $38::text[], $39::bigint[])

-- name: enqueue_plain
-- One run of one execution that may start at once, with its ticket.
with place as (
  select b.anchor, greatest(b.served, coalesce(w.finish, 0), coalesce(
    (select until from pinstripe.chunks c where c.band = $13::smallint and c.flow = $14::text and c.tag is not null
     order by until desc limit 1), 0)) as tag
  from pinstripe.bands b left join pinstripe.flows w on w.band = b.band and w.flow = $14::text
  where b.band = $13::smallint),
run as (
  insert into pinstripe.runs(id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, created_at,
    queued, selected, total, open, band, flow, due_at, key, key_tenant, crashes, schedule, scheduled_for, overlap,
    retry_until, spread, local_time, finished_at, trace, redacted)
  values ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text, $28::bigint,
    true, $11::boolean, $12::integer, $12::integer, $13::smallint, $14::text, $15::bigint, $16::text, $17::text,
    $18::integer, $19::text, $20::bigint, $21::text, $22::bigint, $23::bigint, $24::text, $25::bigint,
    $26::text, $27::text)
  returning n),
made as (
  insert into pinstripe.chunks(run, flow, band, tag, until, ready_at)
  select run.n, $14::text, $13::smallint, place.tag, place.tag + 1, $28::bigint from run, place returning id, tag),
execution as (
  insert into pinstripe.executions(run, tenant, job, chunk)
  select run.n, $29::text, $2::text, made.id from run, made)
select run.n, pinstripe_engine.mint(array[made.id], array[$13::smallint], array[made.tag - place.anchor])
from run, made, place

-- name: enqueue_alike
-- Many runs of one execution each that may start at once, with their tickets: they differ in nothing but their arguments.
with place as (
  select b.anchor, greatest(b.served, coalesce(w.finish, 0), coalesce(
    (select until from pinstripe.chunks c where c.band = $10::smallint and c.flow = $11::text and c.tag is not null
     order by until desc limit 1), 0)) as tag
  from pinstripe.bands b left join pinstripe.flows w on w.band = b.band and w.flow = $11::text
  where b.band = $10::smallint),
call as materialized (
  select nextval('pinstripe.runs_n_seq') as n, nextval('pinstripe.executions_id_seq') as execution,
    nextval('pinstripe.chunks_id_seq') as chunk, c.id, c.args, c.kwargs, place.tag + c.place - 1 as tag, place.anchor
  from place, unnest($1::text[], $2::text[], $3::text[]) with ordinality as c(id, args, kwargs, place)),
run as (
  insert into pinstripe.runs(n, id, job, state, trigger, args, kwargs, selection, origin, retry_of, parent, created_at,
    queued, selected, total, open, band, flow, due_at, key_tenant, crashes, schedule, scheduled_for, retry_until, spread,
    trace, redacted)
  select n, id, $4::text, 'queued', $5::text, args, kwargs, $6::text, coalesce($7::text, id), $8::text, $9::text,
    $21::bigint, true, true, 1, 1, $10::smallint, $11::text, $12::bigint, $13::text, $14::integer, $15::text,
    $16::bigint, $17::bigint, $18::bigint, $19::text, $20::text
  from call),
made as (
  insert into pinstripe.chunks(id, run, flow, band, tag, until, ready_at)
  select chunk, n, $11::text, $10::smallint, tag, tag + 1, $21::bigint from call),
execution as (
  insert into pinstripe.executions(id, run, tenant, job, chunk)
  select execution, n, $22::text, $4::text, chunk from call)
select array_agg(n order by n), pinstripe_engine.mint(
  array_agg(chunk order by n), array_agg($10::smallint), array_agg(tag - anchor order by n)) from call

-- name: limits_of_jobs
select l.job, l.total, l.per_tenant from pinstripe.limits l where l.job = any($1::text[])

-- name: set_limits
insert into pinstripe.limits(job, total, per_tenant) values ($1, $2, $3)
on conflict (job) do update set total = excluded.total, per_tenant = excluded.per_tenant
where (limits.total, limits.per_tenant) is distinct from (excluded.total, excluded.per_tenant)

-- name: delete_limits
delete from pinstripe.limits where job = $1

-- name: delete_slots
delete from pinstripe.slots where job = any($1::text[])

-- name: slots_of_running
-- What runs already takes up its slots too.
insert into pinstripe.slots(execution, job, tenant)
select x.id, x.job, x.tenant from pinstripe.owners o
join pinstripe.executions x on x.owner = o.id and x.state = 'running' and x.job = any($1::text[])
join pinstripe.runs r on r.n = x.run and r.queued
order by x.id for share of x
on conflict do nothing

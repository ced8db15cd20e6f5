-- Whoever changes which schedules there are, or their zones, or removes some, has the lock of `lock_schedules`; of those
-- who let them fire each locks the marks that it moves, in one order.

-- name: bot_row
select bot from pinstripe.owners where id = $1

-- name: join_bot
update pinstripe.owners set bot = true, started_at = coalesce(started_at, beat) where id = $1

-- name: lock_schedules
select pg_advisory_xact_lock(hashtextextended('pinstripe.schedules', 0))

-- name: try_lock_schedules
select pg_try_advisory_xact_lock(hashtextextended('pinstripe.schedules', 0))

-- name: all_schedules
select s.id, s.job, s.key, s.edition, s.gone_at is not null, o.id
from pinstripe.schedules s left join pinstripe.owners o on o.id = s.bot

-- name: add_schedules
insert into pinstripe.schedules(bot, looked, job, key, edition, cron, by_tenant)
select $1, $2, s.* from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
  as s(job, key, edition, cron, by_tenant)
returning id, job, key

-- name: have_schedules
update pinstripe.schedules s set bot = $1, edition = h.edition, cron = h.cron, by_tenant = h.by_tenant, gone_at = null
from unnest($2::bigint[], $3::text[], $4::text[], $5::boolean[]) as h(id, edition, cron, by_tenant) where s.id = h.id

-- name: schedules_gone
update pinstripe.schedules set gone_at = $1 where id = any($2::bigint[]) and gone_at is null

-- name: looked
update pinstripe.schedules set looked = $1 where id = any($2::bigint[])

-- name: last_looks
select id, looked from pinstripe.schedules where id = any($1::bigint[])

-- name: zones_of_schedules
select schedule, zone, since, gone_at from pinstripe.schedule_zones where schedule = any($1::bigint[])

-- name: lock_zones
{zones_of_schedules} order by schedule, zone for update

-- name: write_zones
insert into pinstripe.schedule_zones(schedule, zone, since, gone_at)
select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
on conflict (schedule, zone) do update set since = excluded.since, gone_at = excluded.gone_at

-- name: state_columns
select s.id, s.job, s.key, s.cron, z.zone, s.by_tenant, z.since, nullif(z.fired, 0), z.missed,
  s.gone_at is not null or z.gone_at is not null
from pinstripe.schedules s join pinstripe.schedule_zones z on z.schedule = s.id

-- name: schedule_states
{state_columns} order by s.job, s.key, z.zone

-- name: states_of_schedules
{state_columns} where s.id = any($1::bigint[]) order by s.job, s.key, z.zone

-- name: note_fires
-- Who comes second changes nothing, and lets nothing fire: it waits until the first has committed, and compares with
-- what that has left. Of several times of one schedule in one zone each is new that is later than those before it.
with given as materialized (
  select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[]) with ordinality
    as g(schedule, zone, at, let_go, place)),
locked as materialized (
  select z.schedule, z.zone, greatest(z.fired, z.since) as last from pinstripe.schedule_zones z
  where (z.schedule, z.zone) in (select schedule, zone from given) order by z.schedule, z.zone for update),
compared as (
  select g.*, greatest(l.last, max(g.at) over (
    partition by g.schedule, g.zone order by g.place rows between unbounded preceding and 1 preceding)) as before
  from given g join locked l on l.schedule = g.schedule and l.zone = g.zone),
new as materialized (select * from compared where at > before),
moved as (
  update pinstripe.schedule_zones z set fired = n.fired, missed = coalesce(n.missed, z.missed), gone_at = null
  from (select schedule, zone, max(at) as fired, max(at) filter (where let_go) as missed from new group by 1, 2) n
  where z.schedule = n.schedule and z.zone = n.zone)
select place from new

-- name: noted_fires
-- Those that have fired, by their runs, or were let go: what this process has done, and hasn't heard of.
select g.place
from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) with ordinality as g(schedule, zone, at, run, place)
where case when g.run is null
  then exists (
    select from pinstripe.schedule_zones z where z.schedule = g.schedule and z.zone = g.zone and z.missed = g.at)
  else exists (select from pinstripe.runs r where reverse(r.id) collate "C" = reverse(g.run)) end

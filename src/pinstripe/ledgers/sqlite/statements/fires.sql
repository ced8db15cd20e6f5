-- name: bot_row
select bot from owners where id = :owner

-- name: join_bot
update owners set bot = 1, started_at = coalesce(started_at, beat) where id = :owner

-- name: all_schedules
select id, job, key, edition, gone_at is not null, (select o.id from owners o where o.id = schedules.bot) from schedules

-- name: add_schedule
insert into schedules(edition, cron, by_tenant, bot, job, key, looked) values (?, ?, ?, ?, ?, ?, ?) returning id

-- name: have_schedule
update schedules set edition = ?, cron = ?, by_tenant = ?, bot = ?, gone_at = null where id = ?

-- name: schedule_gone
update schedules set gone_at = ? where id = ? and gone_at is null

-- name: known_anew
update schedule_zones set since = ? where schedule = ?

-- name: known_by_now
-- The clock was ahead when they became known; what has fired meanwhile stays.
update schedule_zones set since = :now where since > :now and schedule in (select value from json_each(:schedules))

-- name: looked
update schedules set looked = ? where id in (select value from json_each(?))

-- name: last_looks
select id, looked from schedules

-- name: zones_of_schedules
select schedule, zone from schedule_zones where gone_at is null

-- name: zones_of_schedule
select zone from schedule_zones where schedule = ? and gone_at is null

-- name: add_zone
insert into schedule_zones(schedule, zone, since) values (?, ?, ?)
on conflict(schedule, zone) do update set since = excluded.since, gone_at = null where gone_at is not null

-- name: zone_gone
update schedule_zones set gone_at = ? where schedule = ? and zone = ? and gone_at is null

-- name: schedule_states
select s.id, s.job, s.key, s.cron, z.zone, s.by_tenant, z.since, nullif(z.fired, 0), z.missed,
  s.gone_at is not null or z.gone_at is not null
from schedules s join schedule_zones z on z.schedule = s.id order by s.job, s.key, z.zone

-- name: states_of_schedule
select s.id, s.job, s.key, s.cron, z.zone, s.by_tenant, z.since, nullif(z.fired, 0), z.missed,
  s.gone_at is not null or z.gone_at is not null
from schedules s join schedule_zones z on z.schedule = s.id where s.id = ? order by z.zone

-- name: note_fire
-- Who comes second changes nothing, and lets nothing fire.
update schedule_zones set fired = :at, missed = iif(:let_go, :at, missed), gone_at = null
where schedule = :schedule and zone = :zone and fired < :at and since < :at

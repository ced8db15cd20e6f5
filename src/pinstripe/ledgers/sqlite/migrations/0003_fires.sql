-- Fires: what is known of schedules, and up to when each has fired.

alter table owners add column bot integer not null default 0;      -- 1: it lets schedules fire

alter table runs add column spread integer;                        -- the window in which its executions start
alter table runs add column local_time text;                       -- of its fire, where each tenant has it once
create index runs_of_schedules on runs(scheduled_for) where schedule is not null and finished_at is null;
create index runs_by_fire on runs(job, schedule, scheduled_for) where schedule is not null;

create table schedules(
  id integer primary key autoincrement, -- never given again: a bot may still have one that is forgotten
  job text not null,
  key text not null,                    -- its name, or what it is
  edition text not null,                -- what it is: another one under the same key has nothing to catch up
  cron text not null,
  by_tenant integer not null,           -- 1: in each tenant's zone
  bot integer,                          -- the process that last said that it has it
  looked integer not null,              -- when it was last looked in which zones its tenants are
  gone_at integer,                      -- no code has it that lets schedules fire
  unique(job, key)
);

create table schedule_zones(
  schedule integer not null,
  zone text not null,
  since integer not null,               -- nothing fires for an instant at or before this
  fired integer not null default 0,     -- or this: the last that has
  missed integer,                       -- the last that was let go
  gone_at integer,                      -- no tenant is in that zone
  primary key(schedule, zone)
) without rowid;

create table local_fires(               -- which tenants have had which time of the wall clock, for some days
  schedule integer not null,
  local_time text not null,
  tenant text not null,
  primary key(schedule, local_time, tenant)
) without rowid;

-- Not for older code: of a run for one zone its workers would select the tenants of all zones, and each at once.
update schema_version set version = 3, min_code = 3;

-- The queue: what waits for workers, in which order, and what holds it back.

alter table owners add column worker integer not null default 0;    -- 1: it takes work from the queue
alter table owners add column concurrency integer;
alter table owners add column started_at integer;
alter table owners add column stopping integer not null default 0;  -- 1: its end is meant, and no crash

alter table runs add column queued integer not null default 0;      -- 1: its executions are for workers
alter table runs add column band integer not null default 1;        -- of its priority: the lowest goes first
alter table runs add column flow text;                              -- whom its executions are served for
alter table runs add column due_at integer;                         -- nothing of it is selected before
alter table runs add column key text;                               -- the caller's own, unique for the job and tenant
alter table runs add column key_tenant text not null default '';
alter table runs add column crashes integer not null default 2;     -- how many an execution survives
alter table runs add column schedule text;
alter table runs add column overlap text;                           -- skip, queue; null: any number at once
alter table runs add column retry_until integer;
alter table runs add column selector integer;                       -- the process that selects its tenants
alter table runs add column stop text;                              -- its end was asked for: why
create unique index runs_by_key on runs(job, key_tenant, key) where key is not null;
create index runs_to_select on runs(band, due_at) where queued = 1 and selected = 0 and state = 'queued';
create index runs_stopping on runs(n) where stop is not null and finished_at is null;

drop index runs_on_top;           -- the last that no job has started is found from the end, past a few that one has
drop index runs_open;             -- what is queued has no owner, and need not be in it
create index runs_open on runs(owner) where owner is not null and state in ('queued', 'running');

alter table executions add column band integer;                     -- while a limit holds it: its place in the order
alter table executions add column tag integer;
drop index executions_held;
create index executions_due on executions(due_at) where state = 'queued' and held = 'due';
create index executions_limited on executions(job, band, tag) where state = 'queued' and held = 'limit';
create index executions_limited_each on executions(job, tenant, band, tag) where state = 'queued' and held = 'limit';
create index executions_capped on executions(job, tenant, band, tag) where state = 'queued' and held = 'tenant_limit';
create index executions_paused on executions(job, tenant) where state = 'queued' and held = 'paused';
create index executions_overlapping on executions(job, tenant) where state = 'queued' and held = 'overlap';
create index executions_held on executions(run, held, due_at, tag) where state = 'queued' and held is not null;

create table chunks(            -- ready executions; it goes with the last of them
  id integer primary key,
  run integer not null,
  flow text not null,
  band integer not null,
  tag integer,                  -- of its next execution: when that is to be served; null while the run is selecting
  until integer not null,       -- the tag after its last: until - tag are left
  ready_at integer
);
create index chunks_in_order on chunks(band, tag, id, until) where tag is not null;
create index chunks_of_flow on chunks(band, flow, until) where tag is not null;
create index chunks_selecting on chunks(run) where tag is null;

create table bands(             -- how far each band has been served: the tag of what was last started
  band integer primary key,
  served integer not null
);
insert into bands(band, served) values (0, 0), (1, 0), (2, 0);

create table flows(             -- until when a flow has been served; one that is not here, up to where its band has
  band integer not null,
  flow text not null,
  finish integer not null,
  primary key(band, flow)
) without rowid;
create index flows_by_finish on flows(band, finish);

create table pauses(            -- '' for any
  job text not null,
  tenant text not null,
  since integer not null,
  primary key(job, tenant)
) without rowid;

create table limits(
  job text primary key,
  total integer,
  per_tenant integer
) without rowid;

create table slots(             -- what a limited job's executions take up while they are ready by admission, or running
  execution integer primary key,
  job text not null,
  tenant text not null
);
create index slots_of_job on slots(job, tenant);

create table guards(            -- the one unfinished execution of a schedule for a tenant
  job text not null,
  schedule text not null,
  tenant text not null,
  execution integer not null unique,
  primary key(job, schedule, tenant)
) without rowid;

update schema_version set version = 2, min_code = 2;

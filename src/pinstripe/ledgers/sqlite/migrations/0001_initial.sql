-- Times are integers, microseconds UTC. No nullable column stands in a unique key.

create table schema_version(
  version integer not null,     -- the newest migration that was applied
  min_code integer not null     -- the oldest code that may still use this schema
);

create table owners(            -- the lease: one row a process
  id integer primary key autoincrement,
  name text not null unique,    -- names its lock file
  host text not null,
  boot_id text not null,
  pid integer not null,
  code_version text not null,
  beat integer not null
);

create table runs(
  n integer primary key autoincrement,
  id text not null unique,
  reversed_id text not null unique,       -- finds a run by the end of its id
  job text not null,
  state text not null,
  trigger text not null,
  args text not null,
  kwargs text not null,
  selection text not null,
  origin text not null,                   -- the first run of a chain of retries, itself where it is none
  retry_of text,                          -- an id, without a foreign key: that run may be pruned before this one
  parent text,
  scheduled_for integer,
  owner integer,                          -- the process that a foreground run lives and dies with
  selected integer not null default 0,    -- whether the selection is complete
  pruning integer not null default 0,     -- on its way out: nothing shows it any more
  total integer not null default 0,
  open integer not null default 0,        -- executions not yet final: decides when the run is closed
  succeeded integer not null default 0,
  failed integer not null default 0,
  cancelled integer not null default 0,
  skipped integer not null default 0,
  error text,
  created_at integer not null,
  started_at integer,
  finished_at integer
);
create index runs_by_job on runs(job, n);
create index runs_by_state on runs(state, n);
create index runs_by_time on runs(created_at);
create index runs_by_end on runs(state, finished_at) where finished_at is not null and pruning = 0;
create index runs_by_retry on runs(retry_of) where retry_of is not null;
create index runs_open on runs(owner) where state in ('queued', 'running');
create index runs_large on runs(n) where total > 1000;
create index runs_on_top on runs(n) where parent is null;
create index runs_pruning on runs(n) where pruning = 1;

create table executions(
  id integer primary key,
  run integer not null,
  tenant text not null,                   -- '' for "no tenant"
  job text not null,
  state text not null default 'queued',
  held text,                              -- why a queued one may not start yet: due, limit, paused, overlap
  chunk integer,                          -- what carries a ready one to a worker; null in a foreground run
  owner integer,
  listed integer not null default 1,      -- 0 from the 1,001st of a run on: executions_of_tenant leaves it out
  epoch integer not null default 0,       -- grows with each start: fences the result
  attempts integer not null default 0,
  crashes integer not null default 0,
  solo integer not null default 0,
  due_at integer,
  started_at integer,
  finished_at integer,
  error text,
  traceback text,
  result text
);
create unique index executions_of_run on executions(run, tenant);
-- A fan-out writes to a page of this index for nearly each of its tenants: to have all of them cost half of its time where
-- millions of executions are kept. The few large runs are looked through one by one instead.
create index executions_of_tenant on executions(tenant, run) where listed = 1 and tenant <> '';
create index executions_running on executions(owner, run) where state = 'running';
create index executions_failed on executions(run, tenant) where state = 'failed';
create index executions_cancelled on executions(run, tenant) where state = 'cancelled';
create index executions_skipped on executions(run, tenant) where state = 'skipped';
create index executions_ready on executions(chunk) where state = 'queued' and chunk is not null;
create index executions_held on executions(job, due_at) where state = 'queued' and held is not null;

create table logs(              -- what an execution printed
  execution integer primary key,
  text text not null,
  succeeded_at integer          -- set where the execution succeeded: such a log is kept for a shorter time
);
create index logs_of_succeeded on logs(succeeded_at) where succeeded_at is not null;

insert into schema_version(version, min_code) values (1, 1);

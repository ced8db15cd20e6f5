-- History: how many executions came to which end, who did what, and what is not to be shown of a run.

alter table runs add column redacted text;     -- the arguments that nobody is shown: a JSON list of their names
alter table runs add column trace text;        -- of whoever asked for it: a W3C traceparent

create table tallies(           -- finished executions, by the minute in which they ended; minute 0 has them all
  minute integer not null,      -- since 1970
  job text not null,
  status text not null,
  executions integer not null,
  duration integer not null,    -- of all of them together
  primary key(minute, job, status)
) without rowid;

create table audit(             -- who did what; walked from its newest entry back
  id integer primary key autoincrement,
  at integer not null,
  door text not null,
  name text not null,
  action text not null,
  job text,
  tenant text,
  run text,                     -- a run's id
  detail text,
  outcome text                  -- null where the process that did it has not told
);
create index audit_by_name on audit(name, id);
create index audit_of_job on audit(job, id) where job is not null;
create index audit_of_tenant on audit(tenant, id) where tenant is not null;
create index audit_of_run on audit(run, id) where run is not null;

update schema_version set version = 4;

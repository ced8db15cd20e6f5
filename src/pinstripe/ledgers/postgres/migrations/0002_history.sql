-- History: how many executions came to which end, who did what, and what is not to be shown of a run.

alter table pinstripe.runs add column redacted text;  -- the arguments that nobody is shown: a JSON list of their names
alter table pinstripe.runs add column trace text;     -- of whoever asked for it: a W3C traceparent

create table pinstripe.tallies(        -- finished executions, by the minute in which they ended; minute 0 has them all
  minute integer not null,             -- since 1970
  job text collate "C" not null,
  status text collate "C" not null,
  executions bigint not null,
  duration bigint not null,            -- of all of them together
  primary key(minute, job, status)
) with (fillfactor = 50);

create table pinstripe.audit(          -- who did what; walked from its newest entry back
  id bigint generated always as identity primary key,
  at bigint not null,
  door text not null,
  name text collate "C" not null,
  action text collate "C" not null,
  job text collate "C",
  tenant text collate "C",
  run text collate "C",                -- a run's id
  detail text,
  outcome text                         -- null where the process that did it has not told
);
create index audit_by_name on pinstripe.audit(name, id);
create index audit_of_job on pinstripe.audit(job, id) where job is not null;
create index audit_of_tenant on pinstripe.audit(tenant, id) where tenant is not null;
create index audit_of_run on pinstripe.audit(run, id) where run is not null;

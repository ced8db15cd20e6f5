-- What the engine does in its schema, in one call each. `enqueue`, `enqueue_anew`, `dequeue` and `log_off` are PgQueuer's
-- own statements, word for word; the parameters of these functions are theirs. Few `rows` are expected of each, so that
-- what belongs to them is found by index.

create or replace function {schema}.enqueue(integer[], text[], bytea[], interval[], text[], jsonb[])
returns setof record language plpgsql rows 20 as $function$
begin return query {enqueue};
end $function$;

create or replace function {schema}.enqueue_anew(integer[], text[], bytea[], interval[], text[], jsonb[])
returns setof record language plpgsql rows 20 as $function$
begin return query {enqueue_anew};
end $function$;

create or replace function {schema}.dequeue(integer, text[], uuid, interval)
returns setof {schema}.pgqueuer language plpgsql rows 20 as $function$
begin return query {dequeue};
end $function$;

create or replace function {schema}.log_off(bigint[], {schema}.pgqueuer_status[], jsonb[])
returns void language plpgsql as $function$
begin {log_off};
end $function$;

-- PgQueuer's priorities are 32-bit numbers, of which the highest goes first: the three bands lie one below another, and a
-- place counts from where its band begins to.
create or replace function {schema}.priority(band smallint, place bigint)
returns integer language sql immutable as $function$
select ({span}::bigint * (2 - band) - 1 - greatest(0, least(place, {span} - 1)))::integer
$function$;

-- Who mints the same chunks goes through them in the same order: so nobody waits for one who waits for him. A ticket may
-- be taken from its minting on, in the same transaction too, however the clock is set; or after a `delay`.
create or replace function {schema}.mint(
  chunks bigint[], bands smallint[], places bigint[], anew boolean default false, delay interval default '-1 day')
returns void language plpgsql as $function$
declare
  priorities integer[];
  keys text[];
  payloads bytea[];
  many integer[] = array[coalesce(cardinality(chunks), 0)];
begin
  select array_agg({schema}.priority(t.band, t.place) order by t.chunk), array_agg(t.chunk::text order by t.chunk),
    array_agg(convert_to(t.chunk::text, 'UTF8') order by t.chunk)
  into priorities, keys, payloads from unnest(chunks, bands, places) as t(chunk, band, place);
  if anew then
    perform 1 from {schema}.enqueue_anew(priorities, array_fill('{entrypoint}'::text, many), payloads,
      array_fill(delay, many), keys, array_fill('{{}}'::jsonb, many)) as t(ord bigint, id bigint);
  else
    perform 1 from {schema}.enqueue(priorities, array_fill('{entrypoint}'::text, many), payloads,
      array_fill(delay, many), keys, array_fill('{{}}'::jsonb, many)) as t(ord bigint, id bigint);
  end if;
end $function$;

-- The chunks are looked up after the tickets were taken: a ticket that was minted just now has one that the caller's
-- statement, which began before, could not see.
create or replace function {schema}.take(most integer) returns setof record language plpgsql rows 20 as $function$
declare
  tickets bigint[];
  chunks bigint[];
begin
  select array_agg(t.id), array_agg(convert_from(t.payload, 'UTF8')::bigint order by t.priority desc, t.id)
  into tickets, chunks from {schema}.dequeue(most, array['{entrypoint}'], '{nobody}'::uuid, '36500 days'::interval) as t;
  if tickets is not null then
    perform {schema}.log_off(tickets, array_fill('successful'::{schema}.pgqueuer_status, array[cardinality(tickets)]),
      array_fill(null::jsonb, array[cardinality(tickets)]));
  end if;
  return query
    select c.id, c.run, c.flow, c.band, c.tag, c.until from unnest(chunks) with ordinality as t(chunk, place)
    left join {ledger}.chunks c on c.id = t.chunk and c.tag is not null order by t.place;
end $function$;

-- What is taken is news to nobody, and to tell of it lets all who commit wait for one another.
create or replace trigger {trigger} after insert on {schema}.pgqueuer execute function {schema}.fn_pgqueuer_changed();

-- Nothing is kept of tickets that were served: the ledger has the history.
create or replace function {schema}.keep_no_log() returns trigger language plpgsql as $function$
begin return null;
end $function$;
create or replace trigger keep_no_log before insert on {schema}.pgqueuer_log
for each row execute function {schema}.keep_no_log();

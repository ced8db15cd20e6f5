-- name: now
select (extract(epoch from clock_timestamp()) * 1000000)::bigint

-- name: next_tags
select f.band, f.flow, greatest(b.served, coalesce(w.finish, 0), coalesce(
  (select until from pinstripe.chunks c where c.band = f.band and c.flow = f.flow and c.tag is not null
   order by until desc limit 1), 0))
from unnest($1::smallint[], $2::text[]) as f(band, flow)
join pinstripe.bands b on b.band = f.band
left join pinstripe.flows w on w.band = f.band and w.flow = f.flow

-- name: front_tags
select f.band, f.flow, greatest(b.served, coalesce(w.finish, 0))
from unnest($1::smallint[], $2::text[]) as f(band, flow)
join pinstripe.bands b on b.band = f.band
left join pinstripe.flows w on w.band = f.band and w.flow = f.flow

-- name: new_chunk_ids
select nextval('pinstripe.chunks_id_seq') from generate_series(1, $1)

-- name: add_chunks
insert into pinstripe.chunks(id, run, flow, band, tag, until, ready_at)
select c.*, $7 from unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[]) as c

-- name: mint
select pinstripe_engine.mint($1::bigint[], $2::smallint[], $3::bigint[], $4::boolean, $5::interval)

-- name: take
-- Tickets in the order in which they are to be served, each with its chunk, which may be gone.
select * from pinstripe_engine.take($1::integer)
  as t(id bigint, run bigint, flow text collate "C", band smallint, tag bigint, until bigint)

-- name: anchors
select band, anchor from pinstripe.bands

-- name: move_anchors
update pinstripe.bands set anchor = served where served - anchor > $1 returning band

-- name: announce
select pg_notify($1, $2)

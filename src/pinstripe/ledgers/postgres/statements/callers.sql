-- name: place
-- Where a connection leads, how much its transaction sees, and who it is.
select current_database()::text, (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint,
  current_setting('transaction_isolation'), current_user::text

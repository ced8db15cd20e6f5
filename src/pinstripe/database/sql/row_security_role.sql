-- The role of this connection, a name for a role that isn't there yet, and where tables without a schema are found.
select
    quote_ident(r.rolname) as name,
    r.rolsuper as is_superuser,
    r.rolbypassrls as bypasses,
    quote_ident(
        (
            select name
            from unnest(array[current_database() || '_app', current_database() || '_jobs', 'app_' || r.oid])
                with ordinality as suggested (name, place)
            where length(name) < 64 and not exists (select from pg_catalog.pg_roles where rolname = name)
            order by place
            limit 1
        )
    ) as suggestion,
    quote_ident(coalesce(current_schema(), 'public')) as schema
from pg_catalog.pg_roles as r where r.rolname = current_user

-- $1: the tenant tables' oids; $2: the views that are declared shared, as SQL writes their names.
-- One row for each view that shows a tenant table's rows whatever its policies say, to a role that may read the view, or
-- one that stands over it. A view reads as its owner, unless it is a `security_invoker`; the owner is kept to no policy
-- where he is a superuser, has BYPASSRLS, or owns the table and nothing is forced on him. A materialized view keeps what
-- was there for whoever refreshed it.
-- https://www.postgresql.org/docs/current/rules-privileges.html
with recursive reads as (
    select distinct r.ev_class as view, d.refobjid as relation
    from pg_catalog.pg_rewrite as r
    join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
    where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.ev_class
), open as (
    select v.oid as view, v.relkind, min(t.relowner) as table_owner
    from reads
    join pg_catalog.pg_class as v on v.oid = reads.view
    join pg_catalog.pg_class as t on t.oid = reads.relation
    join pg_catalog.pg_roles as o on o.oid = v.relowner
    where t.oid = any ($1::int8[])
      and (
        v.relkind = 'm'
        or v.relkind = 'v'
        and not coalesce(
            (select option_value::boolean from pg_options_to_table(v.reloptions) where option_name = 'security_invoker'),
            false
        )
        and (
            o.rolsuper
            or o.rolbypassrls
            or pg_has_role(o.oid, t.relowner, 'usage') and not t.relforcerowsecurity
        )
      )
      and v.oid <> all (select to_regclass(name)::oid from unnest($2::text[]) as name where to_regclass(name) is not null)
    group by v.oid, v.relkind
), over as (
    select view, view as top from open
    union
    -- Who puts a view over a materialized one does so to filter it.
    select over.view, reads.view from over join reads on reads.relation = over.top
    where (select relkind from open where open.view = over.view) = 'v'
)
select
    format('%I.%I', n.nspname, v.relname) as name,
    v.relkind::text as kind,
    quote_ident(pg_get_userbyid(v.relowner)) as owner,
    current_setting('server_version_num')::int >= 150000 as can_invoke,
    quote_ident(pg_get_userbyid(open.table_owner)) as table_owner
from open
join pg_catalog.pg_class as v on v.oid = open.view
join pg_catalog.pg_namespace as n on n.oid = v.relnamespace
where exists (
    select from over
    where over.view = open.view
      and (has_table_privilege(over.top, 'select') or has_any_column_privilege(over.top, 'select'))
)
order by name

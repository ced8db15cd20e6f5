-- $1: the tenant tables, as SQL writes their names; $2: the name of the tenant column.
-- One row for each of them that is there, and for each partition and inheriting table under them: whoever reads such a
-- one by its own name meets its own policies, not its parent's.
with recursive named as (
    select distinct to_regclass(name)::oid as relation
    from unnest($1::text[]) as name
    where to_regclass(name) is not null
), reached as (
    select relation from named
    union
    select below.inhrelid from pg_catalog.pg_inherits as below join reached on below.inhparent = reached.relation
)
select
    c.oid::int8 as oid,
    quote_ident(n.nspname) as schema,
    format('%I.%I', n.nspname, c.relname) as name,
    c.relkind::text as kind,
    c.oid in (select relation from named) as is_named,
    c.relrowsecurity as enabled,
    c.relforcerowsecurity as forced,
    quote_ident(pg_get_userbyid(c.relowner)) as owner,
    -- Whom row-level security takes for the owner: also a role that inherits the owner's privileges.
    pg_has_role(current_user, c.relowner, 'usage') as is_owned,
    has_table_privilege(c.oid, 'select, insert, update, delete')
        or has_any_column_privilege(c.oid, 'select, insert, update') as is_permitted,
    quote_ident(a.attname) as tenant_column,
    (
        with recursive worn as (
            select t.oid, t.typname, t.typtype, t.typbasetype from pg_catalog.pg_type as t where t.oid = a.atttypid
            union all
            select t.oid, t.typname, t.typtype, t.typbasetype
            from worn join pg_catalog.pg_type as t on worn.typtype = 'd' and t.oid = worn.typbasetype
        )
        select typname::text from worn where typtype <> 'd'
    ) as base_type,
    format_type(a.atttypid, a.atttypmod) as column_type,
    coalesce(l.collisdeterministic, true) as is_deterministic,
    coalesce(
        (
            select json_agg(
                json_build_object(
                    'name', quote_ident(p.polname),
                    'is_permissive', p.polpermissive,
                    'is_for_all', p.polcmd = '*' and p.polroles = '{0}',
                    'holds', 0 = any (p.polroles) or not u.rolsuper and exists (
                        select from unnest(p.polroles) as role where role <> 0 and pg_has_role(current_user, role, 'usage')
                    ),
                    'using', pg_get_expr(p.polqual, p.polrelid),
                    'check', pg_get_expr(p.polwithcheck, p.polrelid)
                )
                order by p.polname
            )
            from pg_catalog.pg_policy as p where p.polrelid = c.oid
        ),
        '[]'
    )::text as policies
from reached
join pg_catalog.pg_class as c on c.oid = reached.relation
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_roles as u on u.rolname = current_user
left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = $2 and not a.attisdropped
left join pg_catalog.pg_collation as l on l.oid = a.attcollation
order by is_named desc, name

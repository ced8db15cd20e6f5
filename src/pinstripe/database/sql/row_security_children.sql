do /*quote*/
declare
    child regclass;
begin
    for child in
        with recursive below as (
            select inhrelid from pg_inherits where inhparent in (/*tables*/)
            union
            select i.inhrelid from pg_inherits as i join below on i.inhparent = below.inhrelid
        )
        select oid::regclass from pg_class join below on oid = inhrelid where relkind in ('r', 'p')
    loop
/*statements*/
    end loop;
end
/*quote*/;

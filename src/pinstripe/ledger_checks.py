"""What `pinstripe check` finds of the ledger: whether it can be reached, and what this user may not do in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from pinstripe.config import Settings
    from pinstripe.postgres_address import PostgresAddress
    from pinstripe.project import Project

ENGINE = "_engine"
"""What the engine's own schema is called by, after the ledger's."""


async def look_at_ledger(project: Project) -> str | None:
    """Open the project, and with it the ledger; tell why that can't be, or why nothing could be written.

    Nothing is made that isn't there. None where all is right.
    """
    fault = None
    try:
        await project.open()
    except LedgerError as error:
        fault = str(error)
        if getattr(error.__cause__, "sqlstate", None) != _LACKS_RIGHT:
            return fault
    return await why_not_written(project.settings) or fault


async def why_not_written(settings: Settings) -> str | None:
    """Tell why this user could write nothing to the ledger, nor make it where it isn't there; None where both can be.

    Nothing is made.
    """
    address = settings.ledger_address
    if isinstance(address, Path):
        return _of_file(address)
    try:
        return await _of_postgres(address, settings.ledger_schema)
    except LedgerError as error:
        return str(error)


_LACKS_RIGHT = "42501"
"""PostgreSQL's code of insufficient_privilege: which right that is, it doesn't say."""


def _of_file(path: Path) -> str | None:
    there = next(place for place in (path, *path.parents) if place.exists())
    if os.access(there, os.W_OK):
        return None
    return f"{there} can't be written by this user; let it, or change the setting `ledger`"


class _Schema(NamedTuple):
    """What a user may do in a schema that is there; `lacking` are the tables in it that it can't use in every way.

    `sequences` are those of which it may not take numbers, and `functions` those that it may not call.
    """

    usage: bool
    create: bool
    tables: int
    lacking: list[str]
    sequences: list[str]
    functions: list[str]


_DATABASE = """
select current_user, current_database(), has_database_privilege(current_database(), 'create'),
  pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean
"""

# Names are looked up in the catalog, since `has_schema_privilege` fails where there is no such schema.
_SCHEMA = """
select has_schema_privilege(n.oid, 'usage'), has_schema_privilege(n.oid, 'create'),
  count(c.oid) filter (where c.relkind <> 'S'),
  coalesce(array_agg(c.relname order by c.relname) filter (where c.relkind <> 'S' and not (
    has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
    and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))), '{}'),
  coalesce(array_agg(c.relname order by c.relname) filter (where case c.relkind when 'S' then
    not has_sequence_privilege(c.oid, 'usage') end), '{}'),
  array(select p.proname from pg_catalog.pg_proc p
    where p.pronamespace = n.oid and not has_function_privilege(p.oid, 'execute') order by p.proname)
from pg_catalog.pg_namespace n left join pg_catalog.pg_class c
  on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'S')
where n.nspname = $1 group by n.oid
"""


async def _of_postgres(address: PostgresAddress, name: str) -> str | None:
    from pinstripe.ledgers.postgres.connection import CLOSE_TIMEOUT, connect, translated

    with translated(str(address)):
        # A pooler may give each statement another connection of its own: nothing is prepared.
        connection = await connect(address, idle=CLOSE_TIMEOUT, statement_cache_size=0)
        try:
            user, database, may_create, is_read_only = await connection.fetchrow(_DATABASE)
            rows = {schema: await connection.fetchrow(_SCHEMA, schema) for schema in (name, name + ENGINE)}
        finally:
            await connection.close(timeout=CLOSE_TIMEOUT)
    if is_read_only:
        return f"{address} can only be read: the setting `ledger` must name the primary server, not a replica of it"
    found = {schema: None if row is None else _Schema(*row) for schema, row in rows.items()}
    return _fault(f"the user {user} of {address}", _quoted(user), _quoted(database), found, may_create=may_create)


def _fault(who: str, user: str, database: str, schemas: dict[str, _Schema | None], *, may_create: bool) -> str | None:
    """Tell the first right that is lacking, and the statement that grants it."""
    missing = [name for name, schema in schemas.items() if schema is None]
    if missing and not may_create:
        return (
            f"{who} may not create the schema {' nor '.join(missing)}, which isn't there: "
            f"`grant create on database {database} to {user}`"
        )
    for name, schema in schemas.items():
        if schema is None:
            continue
        if not schema.usage or not (schema.tables or schema.create):
            rights = "usage, create" if not schema.tables else "usage"
            return f"{who} may not use the schema {name}: `grant {rights} on schema {name} to {user}`"
        if schema.lacking:
            return (
                f"{who} may not read and write {', '.join(schema.lacking)} in the schema {name}: "
                f"`grant select, insert, update, delete on all tables in schema {name} to {user}`"
            )
        if schema.sequences:
            return (
                f"{who} may not take numbers of {', '.join(schema.sequences)} in the schema {name}: "
                f"`grant usage on all sequences in schema {name} to {user}`"
            )
        if schema.functions:
            return (
                f"{who} may not call {', '.join(schema.functions)} in the schema {name}: "
                f"`grant execute on all functions in schema {name} to {user}`"
            )
    return None


def _quoted(name: str) -> str:
    """Write a name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'

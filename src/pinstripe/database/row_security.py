"""Row-level security on PostgreSQL: whether it holds for this role and every tenant table, and putting it there.

It is the last line: the database itself keeps rows from a transaction that isn't theirs, whatever statement was let
through before. It holds for nobody who is a superuser, has BYPASSRLS, or owns the table while it isn't forced on its
owner; so these are refused. Being able to `SET ROLE` to such a role doesn't matter by itself, since nothing here does
that, and superuser and BYPASSRLS aren't inherited. Ownership is: a role that inherits the owner's privileges counts as
the owner. https://www.postgresql.org/docs/current/ddl-rowsecurity.html

It doesn't hold for `truncate`, for what a `security definer` function does, and for the checks of unique and foreign
keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DBAPIError

from pinstripe.database.policies import (
    LOCK_SECONDS,
    SET_SCOPE,
    TENANT_VARIABLE,
    UNSCOPED,
    UNSCOPED_VARIABLE,
    tenant_tables,
)
from pinstripe.database.row_security_state import look
from pinstripe.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pinstripe.database.catalog import Catalog
    from pinstripe.database.row_security_state import Fault, TenantTable

__all__ = [
    "SET_SCOPE",
    "TENANT_VARIABLE",
    "UNSCOPED",
    "UNSCOPED_VARIABLE",
    "Enabled",
    "enable_row_security",
    "inspect_row_security",
]


async def inspect_row_security(connection: AsyncConnection, catalog: Catalog) -> bool:
    """Tell whether row-level security keeps this connection's role to its transaction's tenant, in every tenant table.

    False where no tenant table has it and the setting `database.row_security` doesn't require it, where the isolation
    is another than by rows, and on another database than PostgreSQL. Tables of the catalog that the database doesn't
    have are passed over: using one fails by itself. Raises `ConfigurationError`, with the SQL that mends each fault,
    where it holds for some of them only or not for this role; and, whether it is on or not, where the tenant column
    takes different texts for equal.
    """
    if catalog.isolation != "rows" or connection.dialect.name != "postgresql":
        return False
    state = await look(connection, catalog)
    faults = [*state.column_faults()]
    is_on = any(table.enabled for table in state.tables)
    if is_on or catalog.settings.row_security == "required":
        faults += [*state.role_faults(), *state.table_faults(), *state.view_faults()]
    _refuse(faults)
    return is_on


class Enabled(NamedTuple):
    """What became of each table, by its name: protected now, protected already, or not in the database.

    `left` is what lets rows out all the same, and is for somebody to decide; `notes` is what holds for this role only.
    """

    changed: list[str]
    unchanged: list[str]
    missing: list[str]
    left: list[Fault]
    notes: list[Fault]


async def enable_row_security(connection: AsyncConnection, catalog: Catalog) -> Enabled:
    """Protect every tenant table of the catalog that the database has, with its partitions and inheriting tables.

    It is done in the transaction of `connection`, which the caller commits; what is protected already isn't touched.
    Raises `ConfigurationError` where there is no tenant table, one belongs to another role, or its tenant column takes
    different texts for equal; and `DatabaseUnavailable` where a table was in use for more than `LOCK_SECONDS`.
    """
    names = tenant_tables(catalog)
    state = await look(connection, catalog)
    if not any(table.can_be_protected for table in state.tables):
        raise ConfigurationError(_nothing_to_protect(catalog, [*names]))
    _refuse(state.column_faults())
    waiting = [table for table in state.tables if table.can_be_protected and not table.is_protected]
    _refuse_foreign([table for table in waiting if not table.is_owned], state.role.name)
    await connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_SECONDS}s'")
    for table in waiting:
        await _protect(connection, table)
    missing = await connection.exec_driver_sql(
        "select name from unnest($1::text[]) as name where to_regclass(name) is null order by name", ([*names],)
    )
    after = await look(connection, catalog)
    notes = [*after.role_faults()]
    return Enabled(
        [table.name for table in waiting],
        [table.name for table in state.tables if table.is_protected],
        [str(name) for (name,) in missing],
        [
            *after.table_faults(),
            *(after.view_faults() if not notes else ()),
        ],  # an administrator may read what others can't
        notes,
    )


async def _protect(connection: AsyncConnection, table: TenantTable) -> None:
    for statement in table.protection():
        try:
            await connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            message = (
                f"table {table.name} was in use by others for more than {LOCK_SECONDS} seconds, so nothing was "
                "changed; try again when less is going on"
            )
            raise DatabaseUnavailable(message) from error


def _refuse(faults: Iterable[Fault]) -> None:
    lines = [line for fault in faults for line in fault.lines()]
    if lines:
        message = "\n".join(["the database doesn't keep a transaction to its tenant's rows:", *lines])
        raise ConfigurationError(message)


def _refuse_foreign(tables: list[TenantTable], role: str) -> None:
    if not tables:
        return
    of = "; ".join(f"table {table.name} belongs to {table.owner}" for table in tables)
    owner = tables[0].owner
    message = (
        f"{of}; role {role} can't change what isn't its own, so nothing was changed. Let the owner do it: "
        f"`pinstripe enable-row-security --print | psql --username {owner} …`, or set PINSTRIPE_DATABASE_URL to the "
        "owner's URL for this command"
    )
    raise ConfigurationError(message)


def _nothing_to_protect(catalog: Catalog, names: list[str]) -> str:
    if names:
        return f"the database has none of the tables {', '.join(names)}; expected them to be made (migrated) first"
    return (
        f"no table has the column {catalog.settings.tenant_column!r} (setting database.tenant_column), so there is "
        "nothing to protect"
    )

"""What is wrong with the tables themselves, for `pinstripe check`: found by comparing what is declared with what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, inspect
from sqlalchemy.engine.reflection import ObjectKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pinstripe.database.catalog import Catalog, Entry, Standing

Columns = dict[str, dict[str, bool]]
"""Of each table its columns, with whether they may be null."""

OF_MIGRATIONS = ("alembic_version", "django_migrations", "schema_migrations", "yoyo_migration")
"""Tables that tools of migrations keep for themselves; no job needs them, so nothing has to be said of them."""


async def find_table_faults(
    connection: AsyncConnection, catalog: Catalog, standings: Collection[Standing], tenants: str | type | None = None
) -> list[str]:
    """Say of each table of the `catalog` what keeps it from being used, or lets its rows be lost.

    It is about the tables with one of the `standings`: those that are in the database of the `connection`.
    The table (or class) that the `tenants` are read from needs no tenant, and need not be shared.
    """
    columns, views = await connection.run_sync(_read)
    faults = []
    for entry in catalog:
        if entry.standing not in standings:
            continue
        if entry.standing == "undeclared":
            if entry.name not in OF_MIGRATIONS and tenants not in (entry.name, entry.entity):
                faults.append(catalog.undeclared(entry))
        else:
            faults += _faults_of(entry, columns, views, connection.dialect.name)
    return faults


def _faults_of(entry: Entry, columns: Columns, views: set[str], dialect: str) -> Iterator[str]:
    if entry.table.schema is not None:
        return  # each tenant has a table of its own, or it is in a schema that wasn't read
    if entry.table.name not in columns:
        if entry.table.name not in views:
            yield f"the database has no table {entry.name!r}, which a model declares; expected it to be made (migrated)"
        return
    column = _tenant_column(entry)
    found = columns.get(column.table.name, {}) if column is not None else {}
    if column is None or not found:
        return
    if column.name not in found:
        yield f"table {column.table.name!r} has no column {column.name!r} in the database, which its model declares"
    elif found[column.name]:
        sql = f"alter table {column.table.name} alter column {column.name} set not null;"
        mend = "" if dialect == "sqlite" else f":\n    {sql}"
        yield (
            f"column {column.name!r} of table {column.table.name!r} may be null; rows in which it is belong to nobody, "
            f"and no job finds them. Make it not null{mend}"
        )


def _tenant_column(entry: Entry) -> Column[object] | None:
    if entry.tenant is None:
        return None
    mapper = entry.mapper
    if mapper is None:
        return entry.table.columns[str(entry.tenant_key)]
    found = mapper.column_attrs[str(entry.tenant_key)].columns[0]
    return found if isinstance(found, Column) else None


def _read(connection: Connection) -> tuple[Columns, set[str]]:
    inspector = inspect(connection)
    tables = inspector.get_multi_columns(kind=ObjectKind.TABLE)
    columns = {name: {one["name"]: bool(one["nullable"]) for one in found} for (_, name), found in tables.items()}
    views = set(inspector.get_view_names())
    if connection.dialect.name == "postgresql":
        views.update(inspector.get_materialized_view_names())
    return columns, views

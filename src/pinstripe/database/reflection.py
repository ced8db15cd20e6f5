"""Reads from the database itself which tables there are, for applications that declare none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Column, Computed, ForeignKeyConstraint, Identity, MetaData, Table, inspect, text
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from .catalog import TENANT_SCHEMA, reflected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection, Inspector
    from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedForeignKeyConstraint
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.config import DatabaseSettings

    from .catalog import Catalog, Isolation


async def reflect(
    engine: AsyncEngine,
    settings: DatabaseSettings,
    isolation: Isolation,
    schema: str | None = None,
    *,
    shared: AsyncEngine | None = None,
) -> Catalog:
    """Read the tables and views of a database into a catalog.

    In isolation "schemas", `schema` is that of one tenant, which stands for all: its tables are read, and the shared
    ones of the default schema; a table of the tenant's that has a shared one's name is left out. In isolation
    "databases", `engine` is of one tenant and `shared` of the shared database, where there is one. A column of a type
    that isn't known is there too, and gives what the driver gives.
    """
    names = settings.shared_tables
    metadata = MetaData()
    async with engine.connect() as connection:
        if isolation == "schemas" and schema is not None:
            await connection.run_sync(_read, metadata, only=names)
            await connection.run_sync(_read, metadata, schema, TENANT_SCHEMA, leave_out=names)
        elif isolation == "databases" and shared is not None and shared is not engine:
            await connection.run_sync(_read, metadata, leave_out=names)
        else:
            await connection.run_sync(_read, metadata)
    if isolation == "databases" and shared is not None and shared is not engine:
        async with shared.connect() as connection:
            await connection.run_sync(_read, metadata, only=names)
    return reflected(metadata, settings, isolation)


def _read(
    connection: Connection,
    metadata: MetaData,
    schema: str | None = None,
    home: str | None = None,
    only: Collection[str] | None = None,
    leave_out: Collection[str] = (),
) -> None:
    """Put the tables of `schema` into `metadata` as those of the schema `home`.

    Only what statements need is read (columns, keys), and not indexes, of which there are kinds that SQLAlchemy warns
    about.
    """
    inspector = inspect(connection)
    if connection.dialect.name == "sqlite":
        read = _of_sqlite(inspector)
    else:
        _take_every_type(connection)
        read = _of_postgres(inspector, schema)
    found = [one for one in read if (only is None or one.name in only) and one.name not in leave_out]
    tables = [
        Table(one.name, metadata, *(_column(column, one.keys) for column in one.columns), schema=home) for one in found
    ]
    for table, one in zip(tables, found, strict=True):
        for key in one.foreign_keys:
            homes = {schema: home, inspector.default_schema_name: None}
            target = _target(key, metadata, homes)
            if target is not None:
                referred = [target.columns[column] for column in key["referred_columns"]]
                table.append_constraint(ForeignKeyConstraint(key["constrained_columns"], referred))


class _Read(NamedTuple):
    """What was read of one table."""

    name: str
    columns: list[ReflectedColumn]
    keys: list[str]
    foreign_keys: list[ReflectedForeignKeyConstraint]


def _of_postgres(inspector: Inspector, schema: str | None) -> Iterator[_Read]:
    """Read all at once, in a few queries however many tables there are."""
    columns = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY)
    keys = inspector.get_multi_pk_constraint(schema=schema, kind=ObjectKind.TABLE)
    foreign_keys = inspector.get_multi_foreign_keys(schema=schema, kind=ObjectKind.TABLE)
    for key, found in sorted(columns.items(), key=lambda item: item[0][1]):
        primary = keys.get(key)
        yield _Read(key[1], found, primary["constrained_columns"] if primary else [], foreign_keys.get(key, []))


def _of_sqlite(inspector: Inspector) -> Iterator[_Read]:
    """Read one after another: a view on what there isn't any more, say, is left out, and doesn't spoil the rest."""
    for name in sorted([*inspector.get_table_names(), *inspector.get_view_names()]):
        try:
            yield _Read(
                name,
                inspector.get_columns(name),
                inspector.get_pk_constraint(name)["constrained_columns"],
                inspector.get_foreign_keys(name),
            )
        except DBAPIError as error:
            if error.connection_invalidated:
                raise


def _take_every_type(connection: Connection) -> None:
    """Let types that SQLAlchemy doesn't know (PostGIS's, an extension's) be read without its warning."""
    dialect: Any = connection.dialect
    types = connection.scalars(
        text("select format_type(oid, null) from pg_catalog.pg_type where typtype not in ('e', 'd')")
    )
    unknown = {name.lower(): _any_type for name in types if name.lower() not in dialect.ischema_names}
    dialect.ischema_names = {**dialect.ischema_names, **unknown}


def _any_type(*_arguments: object, **_options: object) -> NullType:
    return NullType()


def _column(read: ReflectedColumn, keys: list[str]) -> Column[Any]:
    name = read["name"]
    rest: list[Any] = []
    default = read.get("default")
    if read.get("computed"):
        rest.append(Computed(**read["computed"]))
    elif read.get("identity"):
        rest.append(Identity(**read["identity"]))
    return Column(
        name,
        read["type"],
        *rest,
        primary_key=name in keys,
        nullable=read["nullable"] and name not in keys,  # SQLite says of a whole-number key that it may be null
        server_default=text(default) if default is not None and not rest else None,
    )


def _target(
    key: ReflectedForeignKeyConstraint, metadata: MetaData, homes: dict[str | None, str | None]
) -> Table | None:
    """Give the table that a foreign key refers to, where it is among those that were read."""
    schema = key["referred_schema"]
    home = homes.get(schema, schema)
    return metadata.tables.get(f"{home}.{key['referred_table']}" if home else key["referred_table"])

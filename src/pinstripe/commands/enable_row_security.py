"""`pinstripe enable-row-security`: lets PostgreSQL itself keep each tenant's rows to that tenant's transactions."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TextIO

import click

from pinstripe.commands.options import example, json_option, project_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pinstripe.config import DatabaseSettings, Settings
    from pinstripe.database.catalog import Catalog
    from pinstripe.database.row_security import Enabled

    T = TypeVar("T")


@click.command(
    "enable-row-security",
    short_help="Let PostgreSQL keep each tenant's rows to it.",
    epilog=example(
        "pinstripe enable-row-security",
        "PINSTRIPE_DATABASE_URL=postgresql://app_owner@localhost/app pinstripe enable-row-security",
        "pinstripe enable-row-security --print | psql --username app_owner app",
    ),
)
@click.option("--print", "is_printed", is_flag=True, help="Print the SQL, a script for psql, and change nothing.")
@json_option
@project_option
def command(project: str | None, *, is_printed: bool, as_json: bool) -> int:
    """Put PostgreSQL's row-level security on every table that has the tenant column, its owner not excepted.

    From then on a transaction reaches only the rows of the tenant that it names in the variable pinstripe.tenant, as
    those of the `database` service do, and without it none. Whatever else uses these tables (a web application, a
    migration, psql) must name it too, or log in with a role that has BYPASSRLS; and processes that run jobs
    must be started anew.

    The tables' owner has to do it: where the role of database.url isn't that, see the examples. It is done in one
    transaction, and done again changes nothing. Exits with 1 where something lets rows out all the same.
    """
    if is_printed and as_json:
        message = "--print prints SQL, and --json what was done: expected one of the two"
        raise click.UsageError(message)
    from pinstripe.commands.screen import aside
    from pinstripe.config import find_project, load_settings

    settings = load_settings(find_project(project))
    database = _of_rows(settings)
    with aside() as answer:
        catalog = _declared(settings, database)
        if is_printed:
            tables = _tables(catalog) if catalog else asyncio.run(_connected(settings, database, None, _tables_there))
            _print_script(tables, answer)
            return 0
        from pinstripe.database.row_security import enable_row_security

        enabled = asyncio.run(_connected(settings, database, catalog, enable_row_security))
    if as_json:
        _write_json(enabled)
    else:
        _tell(enabled)
    return 1 if enabled.left else 0


def _of_rows(settings: Settings) -> DatabaseSettings:
    """Give the settings of a database on PostgreSQL whose tables hold the rows of all tenants."""
    from pinstripe.errors import ConfigurationError

    database = settings.database
    if database is None:
        raise ConfigurationError(
            "there is no [tool.pinstripe.database]; expected it, with the url of a PostgreSQL database"
        )
    if database.isolation not in ("rows", None):
        raise ConfigurationError(
            f"setting database.isolation is {database.isolation!r}; expected 'rows': row-level security is for tables "
            "that hold the rows of several tenants"
        )
    if database.url is not None and database.url.startswith("sqlite:"):
        raise ConfigurationError(
            "setting database.url: row-level security is PostgreSQL's, SQLite has none; there the `database` service "
            "alone keeps tenants apart"
        )
    return database


def _declared(settings: Settings, database: DatabaseSettings) -> Catalog | None:
    """Read the models, after the application's own set-up; None where there are none."""
    if database.models is None:
        return None
    from pinstripe.application import set_up
    from pinstripe.database.catalog import declared

    folder = str(settings.folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if settings.setup is not None:
        set_up(settings.setup)
    return declared(database, "rows")


async def _connected(
    settings: Settings,
    database: DatabaseSettings,
    catalog: Catalog | None,
    act: Callable[[AsyncConnection, Catalog], Awaitable[T]],
) -> T:
    """Act in one transaction; on the tables that are found in the database where no `catalog` tells them."""
    from sqlalchemy.exc import DBAPIError

    from pinstripe.database.engines import Engines, unavailable
    from pinstripe.database.reflection import reflect
    from pinstripe.errors import DatabaseUnavailable
    from pinstripe.postgres_outages import reason

    engines = Engines(database, settings.folder, "rows")
    try:
        engine = (await engines.bind(None)).engine
        try:
            known = catalog or await reflect(engine, database, "rows")
            async with engine.begin() as connection:
                return await act(connection, known)
        except (DBAPIError, OSError) as error:
            outage = unavailable(error, engine.url)
            if outage is None and isinstance(error, DBAPIError):
                outage = DatabaseUnavailable(f"PostgreSQL refused, and nothing was changed: {reason(error.orig)}")
            raise (outage or error) from error
    finally:
        await engines.close()


def _tables(catalog: Catalog) -> dict[str, str]:
    """Give the tenant tables that the models declare, each with its tenant column."""
    from pinstripe.database.policies import bare_tables, tenant_tables
    from pinstripe.views.text import visible

    for name in bare_tables(catalog):
        click.echo(f"Warning: table {visible(name)} has no tenant column of its own, so it is left out", err=True)
    return tenant_tables(catalog)


async def _tables_there(connection: AsyncConnection, catalog: Catalog) -> dict[str, str]:
    """Give the tenant tables that are in the database, each with its tenant column; views are none."""
    from pinstripe.database.row_security_state import look

    found = (await look(connection, catalog)).tables
    return {table.name: table.tenant_column for table in found if table.can_be_protected and table.tenant_column}


def _print_script(tables: dict[str, str], answer: TextIO) -> None:
    from pinstripe.database.policies import script
    from pinstripe.errors import ConfigurationError

    if not tables:
        raise ConfigurationError(
            "no table has the column of setting database.tenant_column, so there is nothing to protect"
        )
    answer.write("\n".join(script(tables)) + "\n")


def _write_json(enabled: Enabled) -> None:
    from pinstripe.commands.screen import write_json

    write_json(
        {
            "tables": [{"table": name, "status": status} for name, status in _statuses(enabled)],
            "problems": [fault._asdict() for fault in enabled.left],
            "notes": [fault._asdict() for fault in enabled.notes],
        }
    )


def _tell(enabled: Enabled) -> None:
    from pinstripe.commands.screen import table
    from pinstripe.views.text import visible

    for line in table(("TABLE", "STATUS"), [(visible(name), status) for name, status in _statuses(enabled)]):
        click.echo(line)
    if enabled.changed:
        click.echo(
            "\nFrom now on only a transaction that names its tenant reaches these rows. The `database` service does so "
            "from\nits next start: restart the processes that run jobs. Whatever else uses these tables must do it "
            "too:\n    select set_config('pinstripe.tenant', 'ID', true);"
        )
    for heading, faults in (("Note", enabled.notes), ("Problem", enabled.left)):
        for fault in faults:
            first, *rest = fault.lines()
            click.echo(f"\n{heading}: {visible(first)}")
            for line in rest:
                click.echo(visible(line))


def _statuses(enabled: Enabled) -> list[tuple[str, str]]:
    return [
        *((name, "protected") for name in enabled.changed),
        *((name, "already protected") for name in enabled.unchanged),
        *((name, "not in the database") for name in enabled.missing),
    ]

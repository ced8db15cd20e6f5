"""The policy that keeps a table's rows to one tenant on PostgreSQL, and the SQL that puts it there."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.asyncpg import dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Table

    from pinstripe.database.catalog import Catalog

TENANT_VARIABLE = "pinstripe.tenant"
"""The variable of a transaction that says whose rows it reaches: the tenant's id, as the column's type writes it."""

UNSCOPED_VARIABLE = "pinstripe.unscoped"
"""The variable of a transaction that is `UNSCOPED` where it reaches the rows of all."""

UNSCOPED = "yes"

SET_SCOPE = f"select set_config('{TENANT_VARIABLE}', $1, true), set_config('{UNSCOPED_VARIABLE}', $2, true)"
"""Says for whom a transaction is, until its end: to be executed by the driver as the first statement of each one.

$1 is the tenant's id as PostgreSQL writes it (`str` of an int or a UUID), or ""; $2 is `UNSCOPED`, or "". Always both,
so that a variable counts for nothing that somebody has set for the session or the role.
"""

POLICY = "pinstripe_tenant"
"""The name of our policy on every table."""

LOCK_SECONDS = 5
"""How long a change waits for a table: everybody else waits behind it meanwhile."""


def condition(column: str) -> str:
    """Give the policy's condition, for a `column` as SQL writes it.

    Texts are compared, so that it means the same for every type: an id can't be cut (`varchar(n)`), rounded or read as
    another's (`'01'::int`), and one that is no value of the type matches nothing. Each subquery is evaluated once for a
    statement, not once for a row: it adds 3.5 ms to reading 100,000 rows, where 15 ms would be added without. After a
    transaction that has set it, a variable is '' on that connection, not null: hence `nullif`.
    """
    return (
        f"{column}::text = (select nullif(current_setting('{TENANT_VARIABLE}', true), '')) "
        f"or (select current_setting('{UNSCOPED_VARIABLE}', true) = '{UNSCOPED}')"
    )


def query(name: str) -> str:
    """Give the SQL of the file of that name, without `.sql`."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


_FOLDER = Path(__file__).parent / "sql"


def is_condition(found: str | None, column: str) -> bool:
    """Tell whether the condition that PostgreSQL shows for a policy is ours.

    It shows what it has understood: with casts, parentheses and names for columns of subqueries of its own making.
    """
    return found is not None and _tokens(found) == _tokens(condition(column))


def _tokens(text: str) -> list[str]:
    tokens = re.findall(
        r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'|::text\b|\bas "nullif"|[^\s()\'":,]+|[:,]', text, re.IGNORECASE
    )
    ours = (token for token in tokens if token.lower() not in ("::text", 'as "nullif"'))
    return [token if token[0] in "\"'" else token.lower() for token in ours]


def protection(table: str, column: str) -> list[str]:
    """Give the statements that keep `table`'s rows to the tenant of each transaction, for its owner too.

    Both names are as SQL writes them. Executed again they change nothing.
    """
    allowed = condition(column)
    return [
        f"alter table {table} enable row level security",
        f"alter table {table} force row level security",
        f"drop policy if exists {POLICY} on {table}",
        f"create policy {POLICY} on {table} using ({allowed}) with check ({allowed})",
    ]


def tenant_tables(catalog: Catalog) -> dict[str, str]:
    """Give each tenant table's name with its tenant column's, both as SQL writes them."""
    found = {}
    for table, column in _of_tenants(catalog):
        if column is not None:
            found[_QUOTING.format_table(table)] = _QUOTING.format_column(column)
    return dict(sorted(found.items()))


def bare_tables(catalog: Catalog) -> list[str]:
    """Give the names of the tables that no policy can protect, as SQL writes them.

    They are what a class of tenants' rows is mapped to besides the table with the tenant column (joined inheritance).
    """
    return sorted(_QUOTING.format_table(table) for table, column in _of_tenants(catalog) if column is None)


def schemas(catalog: Catalog) -> list[str]:
    """Give the names of the schemas that tenant tables are said to be in, as SQL writes them."""
    return sorted({_QUOTING.quote_schema(table.schema) for table, _ in _of_tenants(catalog) if table.schema})


def _of_tenants(catalog: Catalog) -> Iterator[tuple[Table, Column[Any] | None]]:
    for table, entry in catalog.by_table.items():
        if entry.standing == "tenant":
            name = catalog.settings.tenant_column
            yield table, next((column for column in table.columns if column.name == name), None)


def shared_tables(catalog: Catalog) -> list[str]:
    """Give the names of the tables that are declared to be shared, as SQL writes them."""
    return [_QUOTING.format_table(table) for table, entry in catalog.by_table.items() if entry.standing == "shared"]


_QUOTING = dialect().identifier_preparer  # type: ignore[no-untyped-call]


def script(tables: dict[str, str]) -> Iterator[str]:
    """Give the lines of a script for psql that protects the `tables`, by name with their columns, in one transaction.

    It protects the partitions and inheriting tables too that it finds when it runs.
    """
    yield "-- Keeps each tenant's rows to the transactions that are for that tenant, or for none (`unscoped`)."
    yield "\\set ON_ERROR_STOP on"
    yield "begin;"
    yield "set local client_min_messages = warning;"
    yield f"set local lock_timeout = '{LOCK_SECONDS}s';"
    for table, column in tables.items():
        yield ""
        yield from (f"{statement};" for statement in protection(table, column))
    yield ""
    yield "-- Partitions and inheriting tables can be read by their own names: they are protected like their parents."
    yield from _script_for_children(tables)
    yield "commit;"


def _script_for_children(tables: dict[str, str]) -> Iterator[str]:
    column = next(iter(tables.values()))  # it has the same name in all of them
    statements = "\n".join(f"        execute {_formatted(one)};" for one in protection(_PLACE, column))
    body = query("row_security_children").replace("/*tables*/", _regclasses(tables))
    body = body.replace("/*statements*/", statements)
    quote = next(tag for number in count(1) if (tag := f"$do{number}$") not in body)
    yield from body.replace("/*quote*/", quote).splitlines()


_PLACE = "\0"  # it can't be in any SQL


def _regclasses(tables: Iterable[str]) -> str:
    return ", ".join(f"{_literal(table)}::regclass" for table in tables)


def _formatted(statement: str) -> str:
    """Write a statement about a table that is known when the script runs."""
    return f"format({_literal(statement.replace('%', '%%').replace(_PLACE, '%s'))}, child)"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    # Backslashes mean themselves only where standard_conforming_strings is on; as E'…' they always need escaping.
    return f"'{escaped}'" if "\\" not in text else "E'" + escaped.replace("\\", "\\\\") + "'"

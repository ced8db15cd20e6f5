"""Changing rows that are spread over several tables, as those of a class that inherits another one's table are.

One statement changes one table only, so it is found first which rows are meant, by a query that keeps to the scope;
then each table is changed by their primary keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, inspect, tuple_, update
from sqlalchemy.sql.ddl import sort_tables

from pinstripe.database.queries import Chosen, fetch, primary_key, selection, trusted
from pinstripe.database.session import TRUSTED
from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.orm import Mapper

    from pinstripe.database.catalog import Entry
    from pinstripe.database.session import ScopedSession

    Key = tuple[Any, ...]

BATCH = 500
"""How many primary keys one statement names; SQLite takes 32,766 parameters, and a key may have several columns."""


def tables_of(entry: Entry) -> list[Table]:
    """Give the tables that rows of `entry` are in, one that refers to others before those."""
    mapper = entry.mapper
    if mapper is None:
        return [entry.table]
    tables: dict[Any, None] = {}
    for each in mapper.self_and_descendants:
        if each is mapper or not each.concrete:
            tables.update(dict.fromkeys(each.tables))
    return list(reversed(sort_tables(tables)))


def update_joined(session: ScopedSession, entry: Entry, chosen: Chosen, values: Mapping[str, Any]) -> int:
    """Set `values` in the chosen rows; give how many there were."""
    mapper = entry.mapper
    assert mapper is not None  # noqa: S101 - only a class has several tables
    of_tables: dict[Any, dict[Any, Any]] = {}
    for name, value in values.items():
        columns = mapper.column_attrs[name].columns if name in mapper.column_attrs else []
        if len(columns) != 1:
            message = f"{entry.entity.__qualname__}.{name} isn't in one table alone, so update(…) can't change it"
            raise ConfigurationError(message)
        of_tables.setdefault(columns[0].table, {})[columns[0].key] = value
    keys = _chosen_keys(session, entry, chosen)
    for table, some in of_tables.items():
        for batch in _batches(keys):
            _execute(session, update(table).values(some).where(_has_key(mapper, table, batch)))
    reread(session, entry, keys)
    return len(keys)


def delete_joined(session: ScopedSession, entry: Entry, chosen: Chosen) -> int:
    """Delete the chosen rows from all their tables; give how many there were."""
    mapper = entry.mapper
    assert mapper is not None  # noqa: S101 - only a class has several tables
    keys = _chosen_keys(session, entry, chosen)
    for table in tables_of(entry):
        for batch in _batches(keys):
            _execute(session, delete(table).where(_has_key(mapper, table, batch)))
    for row in _in_hand(session, entry, keys):
        session.expunge(row)
    return len(keys)


def reread(session: ScopedSession, entry: Entry, keys: Sequence[Key] | None = None) -> None:
    """Read the rows in hand anew that have one of the `keys`; by default those that a change has made forget values.

    SQLAlchemy forgets what a change has set to an expression, and reading it then would need an `await`.
    """
    if keys is None:
        rows = [row for row in session.identity_map.values() if isinstance(row, entry.entity)]
        keys = [key for state in map(inspect, rows) if state.expired_attributes and (key := state.identity) is not None]
    else:
        keys = [inspect(row).identity for row in _in_hand(session, entry, keys)]
    if not keys:
        return
    columns = primary_key(entry)
    for batch in _batches(keys):
        statement = selection(session, entry, Chosen(entry.entity)).where(_among(columns, batch))
        fetch(session, entry, statement)


def _in_hand(session: ScopedSession, entry: Entry, keys: Sequence[Key]) -> list[Any]:
    """Give the rows with these keys that the session knows."""
    wanted = set(keys)
    return [
        row
        for row in session.identity_map.values()
        if isinstance(row, entry.entity) and inspect(row).identity in wanted
    ]


def _chosen_keys(session: ScopedSession, entry: Entry, chosen: Chosen) -> list[Key]:
    statement = selection(session, entry, chosen, primary_key(entry)).with_for_update()
    return [tuple(row) for row in session.execute(statement, execution_options=trusted(session, entry))]


def _has_key(mapper: Mapper[Any], table: Table, keys: Sequence[Key]) -> Any:
    """Give the condition that a row of `table` has one of the keys of the class."""
    columns = []
    for column in mapper.primary_key:
        shared = [one for each in mapper.self_and_descendants for one in _same(each, column) if one.table is table]
        if not shared:
            message = (
                f"table {table.name!r} has the primary key of {mapper.class_.__qualname__} under another name; "
                f"expected {column.key!r}, or use `database.session`"
            )
            raise ConfigurationError(message)
        columns.append(shared[0])
    return _among(columns, keys)


def _same(mapper: Mapper[Any], column: Any) -> list[Any]:
    """Give all columns that are one attribute of the class with `column`, which is part of its primary key."""
    return list(mapper.get_property_by_column(column).columns) if column in mapper.columns.values() else []


def _among(columns: Sequence[Any], keys: Sequence[Key]) -> Any:
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_([tuple(key) for key in keys])


def _batches(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]


def _execute(session: ScopedSession, statement: Any) -> None:
    session.execute(statement, execution_options={TRUSTED: session.trust(mapped=False)})

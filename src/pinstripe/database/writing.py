"""Inserting, changing and deleting rows: what is inserted belongs to the tenant, and what is changed stays with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import CursorResult, delete, insert, update

from pinstripe.database.conditions import column_of
from pinstripe.database.expressions import check_bare, check_changed, is_expression
from pinstripe.database.guards import check_assigned, refuse
from pinstripe.database.internals import undo_with_transaction
from pinstripe.database.joined_tables import delete_joined, reread, tables_of, update_joined
from pinstripe.database.queries import Chosen, chosen_keys, find, trusted, where
from pinstripe.errors import ConfigurationError, UnknownColumn

if TYPE_CHECKING:
    from sqlalchemy import Delete, Update

    from pinstripe.database.catalog import Entry
    from pinstripe.database.session import ScopedSession

BATCH = 1_000
"""How many rows one statement inserts."""


def insert_row(session: ScopedSession, key: str | type, values: Mapping[str, Any]) -> Any:
    """Insert one row and give it as the database has it, with its defaults."""
    entry = find(session, key)
    row = _stamped(session, entry, values)
    for value in row.values():
        if is_expression(value) and not session.everything:
            check_bare(value, session.scope, None)
    options = {**trusted(session, entry), "populate_existing": True}
    if entry.mapper is None:
        statement = insert(entry.table).values(row).returning(*entry.table.columns)
        return session.execute(statement, execution_options=options).one()
    statement = insert(entry.entity).returning(entry.entity)
    if any(is_expression(value) for value in row.values()):
        row = _as_one_statement(entry, row)
        found = session.execute(statement.values(row), execution_options=options).unique().scalar_one()
    else:
        found = session.execute(statement, [row], execution_options=options).unique().scalar_one()
    undo_with_transaction(session, found)
    return found


def insert_rows(session: ScopedSession, key: str | type, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert many rows; give how many."""
    entry = find(session, key)
    given: object = rows
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        found = "one mapping" if isinstance(given, Mapping) else type(given).__name__
        message = (
            f"insert_many of {entry.name!r}: expected rows, each a mapping of columns to values, as "
            f"[{{'name': …}}, …]; got {found}"
        )
        raise ConfigurationError(message)
    options = trusted(session, entry)
    stamped = (_stamped(session, entry, _plain(entry, values)) for values in rows)
    count = 0
    for _, alike in groupby(stamped, key=frozenset):
        while batch := list(islice(alike, BATCH)):
            session.execute(insert(entry.entity), batch, execution_options=options)
            count += len(batch)
    return count


def update_rows(session: ScopedSession, chosen: Chosen, values: Mapping[str, Any]) -> int:
    """Change the chosen rows; give how many there were."""
    entry = find(session, chosen.key)
    if not values:
        message = f"update of {entry.name!r}: expected at least one column with its new value, as update(name='…')"
        raise ConfigurationError(message)
    is_joined = entry.mapper is not None and len(entry.mapper.tables) > 1
    for name, value in values.items():
        column = _column(entry, name)
        if session.everything:
            continue
        check_assigned([(name, value)], entry.mapper, session.scope)
        if is_expression(value):
            check = check_bare if entry.mapper is None or is_joined else check_changed
            check(value, session.scope, column.table if is_joined else entry.table)
    if is_joined:
        return update_joined(session, entry, chosen, values)
    changed = _change(session, entry, chosen, update(entry.entity).values(dict(values)), "update")
    if entry.mapper is not None:
        reread(session, entry)
    return changed


def delete_rows(session: ScopedSession, chosen: Chosen) -> int:
    """Delete the chosen rows; give how many there were."""
    entry = find(session, chosen.key)
    if len(tables_of(entry)) > 1:
        return delete_joined(session, entry, chosen)
    return _change(session, entry, chosen, delete(entry.entity), "delete")


def _change(session: ScopedSession, entry: Entry, chosen: Chosen, statement: Update | Delete, what: str) -> int:
    """Execute a change. What may bring other tables along is asked in a query of its own, which keeps to the tenant."""
    if chosen.limit is None and (entry.mapper is None or not chosen.tests):
        statement = statement.where(*where(session, entry, chosen, change=True))
    else:
        restriction = where(session, entry, Chosen(chosen.key), change=True)
        statement = statement.where(*restriction, chosen_keys(session, entry, chosen, what))
    result = session.execute(statement, execution_options=trusted(session, entry))
    return cast("CursorResult[Any]", result).rowcount


def _as_one_statement(entry: Entry, row: dict[str, Any]) -> dict[str, Any]:
    """Give the values of a row that has expressions, as SQLAlchemy inserts them: what it is left to add is added."""
    mapper = entry.mapper
    assert mapper is not None  # noqa: S101 - a plain table is inserted into otherwise
    if len(mapper.tables) > 1:
        message = (
            f"insert of {entry.name!r}: expected plain values, since {entry.entity.__qualname__} is in several tables; "
            "got an expression"
        )
        raise ConfigurationError(message)
    if mapper.polymorphic_on is None:
        return row
    kind = mapper.get_property_by_column(mapper.polymorphic_on).key
    return {kind: mapper.polymorphic_identity, **row}


def _stamped(session: ScopedSession, entry: Entry, values: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of a new row, with the tenant; raises `IsolationError` where they name another one."""
    for name in values:
        _column(entry, name)
    row = dict(values)
    key = entry.tenant_key
    if key is None or not session.scope.by_rows:
        return row
    check_assigned(((name, one) for name, one in row.items() if name != key), entry.mapper, session.scope)
    ours = session.scope.value(entry)
    found = row.get(key, ours)
    if is_expression(found) or found != ours or type(found) is not type(ours):
        whose = "an expression" if is_expression(found) else repr(found)
        refuse(f"a row for {entry.name!r} has {key} = {whose} in a workspace of tenant {ours!r}", f"leave {key} out")
    row[key] = ours
    return row


def _column(entry: Entry, name: str) -> Any:
    """Give the column of that name; raises `UnknownColumn`, also for a relationship."""
    mapper = entry.mapper
    if mapper is not None and name in mapper.relationships:
        message = (
            f"{entry.entity.__qualname__}.{name} is a relationship; expected columns, or use `database.session.add(…)`"
        )
        raise UnknownColumn(message)
    return column_of(entry.entity, name)


def _plain(entry: Entry, values: Any) -> Mapping[str, Any]:
    if not hasattr(values, "keys") or not hasattr(values, "__getitem__"):
        message = f"insert_many of {entry.name!r}: expected mappings of columns to values, got {type(values).__name__}"
        raise ConfigurationError(message)
    for name in values.keys():  # noqa: SIM118 - a mapping of any kind
        if is_expression(values[name]):
            message = f"insert_many of {entry.name!r}: {name} is an expression; use insert(…) for one row"
            raise ConfigurationError(message)
    return {name: values[name] for name in values.keys()}  # noqa: SIM118 - as above

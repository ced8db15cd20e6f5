"""The statements of the table facade: each restricted to the scope, and executed with the session.

Everything here runs inside SQLAlchemy's greenlet, with the session of the workspace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, literal, or_, select, tuple_

from pinstripe.database.conditions import column_of, conditions
from pinstripe.database.expressions import check_bare, clause_of
from pinstripe.database.guards import check_expression
from pinstripe.database.prepared import prepare
from pinstripe.database.session import TRUSTED
from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Result, Select
    from sqlalchemy.sql.elements import ColumnElement

    from pinstripe.database.catalog import Entry
    from pinstripe.database.session import ScopedSession


class Chosen(NamedTuple):
    """Which rows of the table `key` (its name or mapped class) are meant, in which order, and at most how many."""

    key: str | type
    tests: tuple[Any, ...] = ()
    lookups: tuple[tuple[str, object], ...] = ()
    order: tuple[Any, ...] = ()
    limit: int | None = None


def find(session: ScopedSession, key: str | type) -> Entry:
    """Give the table; raises `UnknownTable`, `IsolationError` for an undeclared one, `TenantRequired`."""
    scope = session.scope
    entry = scope.catalog.find(key, undeclared=session.everything)
    scope.require(entry)
    return entry


def read(session: ScopedSession, chosen: Chosen) -> list[Any]:
    """Give the rows: instances of the author's class, or `Row`s of a plain table."""
    return _read(session, find(session, chosen.key), chosen, [])


def first(session: ScopedSession, chosen: Chosen) -> list[Any]:
    """Give the first row in a list, or none; among those alike in what they are ordered by, that of the least key."""
    entry = find(session, chosen.key)
    limit = 1 if chosen.limit is None else min(1, chosen.limit)
    return _read(session, entry, chosen._replace(limit=limit), primary_key(entry))


def _read(session: ScopedSession, entry: Entry, chosen: Chosen, then: Sequence[Any]) -> list[Any]:
    """Give the rows, ordered as was asked for and `then` by these columns; by a statement built before if possible."""

    def build(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
        order = [*(_order(session, entry, one) for one in chosen.order), *then]
        return _cut(select(entry.entity).where(*conditions).order_by(*order), chosen)

    if not chosen.tests and all(type(one) is str for one in chosen.order):
        rest = ("read", chosen.order, chosen.limit, bool(then))
        prepared = prepare(session, entry, chosen.lookups, rest, build)
        if prepared is not None:
            session.prepared = prepared.statement
            try:
                result = session.execute(prepared.statement, prepared.values, execution_options=_POPULATE)
            finally:
                session.prepared = None
            return _rows(entry, result)
    return fetch(session, entry, build(where(session, entry, chosen)))


def fetch(session: ScopedSession, entry: Entry, statement: Select[Any]) -> list[Any]:
    """Execute a statement that selects rows of `entry`. What is read anew replaces what was read before."""
    options = {**trusted(session, entry), **_POPULATE}
    return _rows(entry, session.execute(statement, execution_options=options))


def count(session: ScopedSession, chosen: Chosen) -> int:
    """Count the rows; a limit holds for the count too."""
    entry = find(session, chosen.key)
    if chosen.limit is None:
        statement = select(func.count()).select_from(entry.entity).where(*where(session, entry, chosen))
    else:
        some = selection(session, entry, chosen, primary_key(entry) or [*entry.table.columns]).subquery()
        statement = select(func.count()).select_from(some)
    return int(session.execute(statement, execution_options=trusted(session, entry)).scalar_one())


def any_exists(session: ScopedSession, chosen: Chosen) -> bool:
    """Tell whether there is such a row."""
    entry = find(session, chosen.key)
    if chosen.limit == 0:
        return False
    statement = selection(session, entry, chosen._replace(order=(), limit=1), [literal(1)])
    return session.execute(statement, execution_options=trusted(session, entry)).first() is not None


def page(
    session: ScopedSession, chosen: Chosen, after: tuple[Any, ...] | None, size: int
) -> tuple[list[Any], tuple[Any, ...] | None]:
    """Read the next `size` rows by primary key, `after` the last key; give them with the key to go on after."""
    entry = find(session, chosen.key)
    key = primary_key(entry)
    if not key:
        message = f"table {entry.name!r} has no primary key to be read in pages by; use all()"
        raise ConfigurationError(message)
    statement = selection(session, entry, chosen._replace(limit=None)).order_by(*key).limit(size)
    if after is not None:
        # Written out rather than as a comparison of rows, so that an index serves it in every database.
        steps = [and_(*(key[i] == after[i] for i in range(n)), key[n] > after[n]) for n in range(len(key))]
        statement = statement.where(or_(*steps))
    rows = fetch(session, entry, statement)
    if len(rows) < size:
        return rows, None
    last = rows[-1]
    values = last._mapping if entry.mapper is None else None  # noqa: SLF001 - a documented name of SQLAlchemy's Row
    found = tuple(getattr(last, one.key) if values is None else values[one] for one in key)
    if None in found:  # SQLite allows it, and nothing comes after it
        message = f"table {entry.name!r} has rows whose primary key is null, so it can't be read in pages; use all()"
        raise ConfigurationError(message)
    return rows, found


def selection(
    session: ScopedSession,
    entry: Entry,
    chosen: Chosen,
    columns: Sequence[Any] | None = None,
    *,
    change: bool = False,
) -> Select[Any]:
    """Give the statement that selects the rows, or `columns` of them; `change` as for `where`."""
    statement = select(entry.entity) if columns is None else select(*columns).select_from(entry.entity)
    statement = statement.where(*where(session, entry, chosen, change=change))
    if chosen.order:
        statement = statement.order_by(*(_order(session, entry, one) for one in chosen.order))
    return _cut(statement, chosen)


def _cut(statement: Select[Any], chosen: Chosen) -> Select[Any]:
    return statement if chosen.limit is None else statement.limit(chosen.limit)


def where(session: ScopedSession, entry: Entry, chosen: Chosen, *, change: bool = False) -> list[ColumnElement[bool]]:
    """Give the conditions: that of the scope first, then the lookups and the author's own expressions.

    `change` tells that they are for an update or a delete.
    """
    dialect = "sqlite" if session.means.sqlite else "postgresql"
    restriction = session.scope.restriction(entry, given=entry.mapper is not None and not change)
    found = [] if restriction is None else [restriction]
    for name, value in chosen.lookups:
        found += conditions(entry.entity, {name: value}, dialect)
    found += [checked(session, entry, test, condition=True) for test in chosen.tests]
    return found


def checked(session: ScopedSession, entry: Entry, expression: Any, *, condition: bool = False) -> Any:
    """Give an author's own expression if the scope allows for it; raises `IsolationError` otherwise."""
    if session.everything:
        return expression
    if entry.mapper is None:
        check_bare(expression, session.scope, entry.table)
    else:
        check_expression(clause_of(expression), session.scope, orm=True, own=entry.mapper, condition=condition)
    return expression


def trusted(session: ScopedSession, entry: Entry) -> dict[str, Any]:
    """Give the execution options that mark a statement on `entry` as the facade's own."""
    return {TRUSTED: session.trust(mapped=entry.mapper is not None)}


def primary_key(entry: Entry) -> list[Any]:
    """Give the primary key of a table, as attributes of its class or as columns."""
    mapper = entry.mapper
    if mapper is None:
        return list(entry.table.primary_key.columns)
    return [getattr(entry.entity, mapper.get_property_by_column(column).key) for column in mapper.primary_key]


def chosen_keys(session: ScopedSession, entry: Entry, chosen: Chosen, what: str) -> ColumnElement[bool]:
    """Give the condition that a row's primary key is one of those chosen; raises `ConfigurationError` without one."""
    key = primary_key(entry)
    if not key:
        message = f"{what} of table {entry.name!r} needs a primary key here, and it has none; leave out limit"
        raise ConfigurationError(message)
    some = selection(session, entry, chosen, key, change=True)
    return key[0].in_(some) if len(key) == 1 else tuple_(*key).in_(some)


def _order(session: ScopedSession, entry: Entry, order: Any) -> Any:
    """Give what to order by: `"name"`, `"-name"` for descending, or the author's own expression."""
    if not isinstance(order, str):
        return checked(session, entry, order)
    column = column_of(entry.entity, order.removeprefix("-"))
    return column.desc() if order.startswith("-") else column.asc()


def _rows(entry: Entry, result: Result[Any]) -> list[Any]:
    return list(result.all() if entry.mapper is None else result.scalars().unique().all())


_POPULATE = {"populate_existing": True}
"""The execution option with which what is read anew replaces what was read before."""

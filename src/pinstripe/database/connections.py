"""The last look, at what reaches a connection: SQLAlchemy's unit of work and authors' own events write to it directly.

A flush changes rows by their primary keys alone. Under such a key another tenant may have a row by now, since keys are
used again; so the tenant is added to each of these statements. And an event of a mapper is given a bare connection,
where no criteria hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, String, Update, bindparam, collate, event, exists, literal
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ClauseElement, ReleaseSavepointClause, RollbackToSavepointClause, SavepointClause

from pinstripe.database.guards import REMEDY, check_assigned, check_reach, refuse
from pinstripe.database.internals import assigned, children, columns_of, is_orm, options_given
from pinstripe.database.raw_sql import is_query_or_change
from pinstripe.database.row_security import SET_SCOPE
from pinstripe.database.statements import Reach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Engine, Table
    from sqlalchemy.engine.interfaces import ExecutionContext

    from pinstripe.database.catalog import Entry
    from pinstripe.database.scope import Scope
    from pinstripe.database.session import ScopedSession

SESSION = "pinstripe_session"
"""The execution option with which a connection tells whose session it works for."""


def watch(engine: Engine) -> None:
    """Look at all that reaches the connections of an `engine` for a session of ours."""
    event.listen(engine, "before_execute", _look, retval=True)
    event.listen(engine, "before_cursor_execute", _look_at_text)


def _look(connection: Connection, element: Any, many: Any, one: Any, _options: object) -> tuple[Any, Any, Any]:
    session = _session_of(connection)
    if session is None or session.everything or session.has_accepted(element):
        return element, many, one
    if isinstance(element, SavepointClause | RollbackToSavepointClause | ReleaseSavepointClause):
        return element, many, one
    scope = session.scope
    if isinstance(element, UpdateBase) and session.writing:
        return _keep_written(element, many, one, connection, scope)
    if not isinstance(element, UpdateBase) or not session.changing:
        _check(element, scope)
    return element, many, one


def _look_at_text(
    connection: Connection, _cursor: Any, statement: str, _values: Any, context: ExecutionContext, _many: object
) -> None:
    if context.compiled is not None or statement in _OUR_OWN:
        return
    session = _session_of(connection)
    if session is not None and not session.everything and not session.scope.text:
        refuse("SQL written as text on a bare connection can't be kept to the tenant", REMEDY)


def _session_of(connection: Connection) -> ScopedSession | None:
    """Give whose connection it is, by what was said to the connection itself: a statement may say what it likes."""
    found: ScopedSession | None = connection.get_execution_options().get(SESSION)
    return found


_OUR_OWN = ("BEGIN", "BEGIN IMMEDIATE", "select 1", SET_SCOPE)


def _check(element: Any, scope: Scope) -> None:
    """Look at what an author's event has made of a statement, or has given to the connection itself."""
    has_criteria = options_given(element).issuperset(scope.criteria)
    check_reach(Reach(element, orm=has_criteria and is_orm(element), criteria=has_criteria), scope)
    if not is_query_or_change(element) and not scope.text:
        refuse(f"a statement that is neither a query nor a change ({type(element).__name__}) can't be kept", REMEDY)


def _keep_written(change: Any, many: Any, one: Any, connection: Connection, scope: Scope) -> tuple[Any, Any, Any]:
    """Keep what a flush writes to the tenant: a row to be changed must be its own still, and a new one is."""
    table: Table = change.table
    entry = scope.catalog.by_table.get(table)
    if entry is None or not scope.by_rows or entry.standing != "tenant":
        if table not in scope.catalog.between:
            check_reach(Reach(table, own=(table,)), scope)
        _check_values(change, scope)
        return change, many, one
    name = scope.catalog.settings.tenant_column
    kept = scope.catalog.kept.get(change)
    if kept is None:
        _check_values(change, scope)
        kept = change
        if not isinstance(change, Insert):
            kept = change.where(is_ours((table,), entry, name, _PARAMETER, connection.dialect.name))
        scope.catalog.kept[change] = kept
    parameter = _check_tenant(change, many or (one,), entry, name, scope) if isinstance(change, Insert) else _PARAMETER
    if parameter is None:
        return kept, many, one
    value = scope.value(entry)
    return kept, [{**row, parameter: value} for row in many], {} if many else {**one, parameter: value}


def _check_values(change: Any, scope: Scope) -> None:
    for part in children(change):
        if part is not change.table:
            check_reach(Reach(part, orm=False, own=(change.table,)), scope, beside=change.table)
    if isinstance(change, Update):
        check_assigned(assigned(change), None, scope)


def _check_tenant(
    insert: Insert, rows: Iterable[Mapping[str, Any]], entry: Entry, name: str, scope: Scope
) -> str | None:
    """Give the parameter that has the tenant of new rows, where the table has that column and no value of it yet."""
    column = _column(insert.table, name)
    if column is None:
        return None
    ours = scope.value(entry)
    given = [getattr(value, "value", value) for key, value in assigned(insert) if name in columns_of(key, value, None)]
    for value in (*given, *(row.get(column.key, ours) for row in rows)):
        if isinstance(value, ClauseElement) or value != ours:
            whose = "an expression" if isinstance(value, ClauseElement) else repr(value)
            refuse(
                f"a row of {entry.name!r} has {name} = {whose} in a workspace of tenant {ours!r}",
                f"leave {name} out, it is set by itself",
            )
    return None if given else str(column.key)


def is_ours(tables: Collection[Table], entry: Entry, name: str, parameter: str, dialect: str) -> ColumnElement[bool]:
    """Give the condition that the rows of `tables` are the tenant's, whose id is the value of `parameter`.

    `name` is that of the tenant column: of a class in several tables, only one may have it.
    """
    columns = [column for column in (_column(table, name) for table in tables) if column is not None]
    if columns:
        return _equal(columns[0], parameter, dialect)
    mapper = entry.mapper
    assert mapper is not None  # noqa: S101 - only a class has a table that doesn't tell, beside one that does
    conditions: list[Any] = []
    for each in mapper.iterate_to_root():
        column = _column(each.local_table, name)
        if column is not None:
            conditions.append(_equal(column, parameter, dialect))
            break
        conditions.append(each.inherit_condition)
    return exists(literal(1)).where(*conditions).correlate(*tables)


def _column(table: Any, name: str) -> Any:
    """Give the column of that name in the database, whatever key it has; None where there is none."""
    return next((column for column in table.columns if column.name == name), None)


def _equal(column: Any, parameter: str, dialect: str) -> ColumnElement[bool]:
    compared = collate(column, "BINARY") if dialect == "sqlite" and isinstance(column.type, String) else column
    return compared == bindparam(parameter, type_=column.type, required=True)


_PARAMETER = "pinstripe_tenant"

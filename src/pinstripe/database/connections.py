"""The last look, at what reaches a connection: SQLAlchemy's unit of work and authors' own events write to it directly.

A flush changes rows by their primary keys alone. Under such a key another tenant may have a row by now, since keys are
used again; so the tenant is added to each of these statements. And an event of a mapper is given a bare connection,
where no criteria hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, Insert, String, Table, Update, bindparam, collate, event, exists, literal
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BooleanClauseList,
    ClauseElement,
    ReleaseSavepointClause,
    RollbackToSavepointClause,
    SavepointClause,
)

from pinstripe.database.guards import REMEDY, check_assigned, check_reach, refuse
from pinstripe.database.internals import (
    assigned,
    children,
    columns_of,
    entity_of,
    has_many_values,
    is_orm,
    may_update,
    options_given,
    text_beside,
)
from pinstripe.database.raw_sql import is_query_or_change
from pinstripe.database.row_security import SET_SCOPE
from pinstripe.database.statements import Reach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Engine
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
    if session is None or session.everything:
        return element, many, one
    scope = session.scope
    _check_given(one, scope)
    if session.has_accepted(element):
        return element, many, one
    if isinstance(element, SavepointClause | RollbackToSavepointClause | ReleaseSavepointClause):
        return element, many, one
    if isinstance(element, UpdateBase) and session.writing:
        return _keep_written(element, many, one, connection, scope)
    if not isinstance(element, UpdateBase) or not _is_of_change(element, session):
        _check(element, scope)
    elif isinstance(element, Insert):
        return _stamp(element, many, one, scope)
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


def _check_given(given: Mapping[str, Any], scope: Scope) -> None:
    """Refuse parameters by which an author's event would say whose rows are meant."""
    for name, ours in scope.parameters.items():
        if given.get(name, ours) != ours:
            refuse(f"the parameter {name} was replaced", "leave the parameters of a query that are there as they are")


def _is_of_change(element: UpdateBase, session: ScopedSession) -> bool:
    """Tell whether a change is what the ORM makes of one that was looked at; an author's event may make others then."""
    if not isinstance(element, Insert):
        return bool(session.changes) and is_orm(element) and options_given(element).issuperset(session.literal_criteria)
    made_of = [(entity_of(change.table), change.table) for change in session.changes if isinstance(change, Insert)]
    return any(element.table in ((table,) if entity is None else entity.mapper.tables) for entity, table in made_of)


def _keep_written(change: Any, many: Any, one: Any, connection: Connection, scope: Scope) -> tuple[Any, Any, Any]:
    """Keep what a flush writes to the tenant: a row to be changed must be its own still, and a new one is."""
    table: Table = change.table
    if not isinstance(table, Table):
        refuse(f"a change of {type(table).__name__} can't be kept to the tenant", "name the table itself, not an alias")
    entry = scope.catalog.by_table.get(table)
    if entry is None or not scope.by_rows or entry.standing != "tenant":
        if table not in scope.catalog.between:
            check_reach(Reach(table, own=(table,)), scope)
        elif scope.by_rows and (entry is None or entry.standing != "shared"):
            _check_between(change)
        _check_values(change, scope)
        return change, many, one
    kept = scope.catalog.kept.get(change, _NEW)
    if kept is _NEW:
        _check_values(change, scope)
        _check_source(change, entry)
        kept = None
        if not isinstance(change, Insert):
            name = scope.catalog.settings.tenant_column
            kept = change.where(is_ours((table,), entry, name, _PARAMETER, connection.dialect.name))
        scope.catalog.kept[change] = kept  # never the change itself, which then would be kept for good
    _, many, one = _stamp(change, many, one, scope)
    return change if kept is None else kept, many, one


_NEW = object()


def _check_between(change: Any) -> None:
    """Refuse to change more of a table between two classes than named rows: it doesn't tell whose they are."""
    condition = None if isinstance(change, Insert) else change.whereclause
    parts = [condition]
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        parts = list(condition.clauses)
    if not isinstance(change, Insert) and not any(map(_names_rows, parts)):
        refuse(
            f"a change of table {change.table.name!r}, which has no tenant column, can't be kept to the tenant",
            f"say of which rows by the values of its columns, as .where({change.table.name}.c.… == …)",
        )


def _names_rows(condition: Any) -> bool:
    is_named = isinstance(condition, BinaryExpression) and condition.operator in (operators.eq, operators.in_op)
    return is_named and isinstance(condition.right, BindParameter)


def _check_values(change: Any, scope: Scope) -> None:
    for part in children(change):
        if part is not change.table:
            check_reach(Reach(part, orm=False, own=(change.table,)), scope, beside=change.table)
    for written in () if scope.text else text_beside(change):
        refuse(f"SQL written as text ({written}) can't be kept to the tenant", "leave it out")
    if isinstance(change, Update):
        check_assigned(assigned(change), None, scope)


def _check_source(change: Any, entry: Entry) -> None:
    """Refuse an insert that may change a row that is there, or whose rows a query makes."""
    if may_update(change):
        refuse(
            f"an upsert into {entry.name!r} can't be kept to the tenant: the row that it finds may be another's",
            "update by a condition, and insert where that has found no row",
        )
    if isinstance(change, Insert) and change.select is not None:
        refuse(f"an insert into {entry.name!r} from a select can't be kept to the tenant", "read first, then insert")


def _stamp(change: Any, many: Any, one: Any, scope: Scope) -> tuple[Any, Any, Any]:
    """Put the tenant into the parameters of a change of a tenant's table: of each new row, and of the condition."""
    entry = scope.catalog.by_table.get(change.table)
    if entry is None or not scope.by_rows or entry.standing != "tenant":
        return change, many, one
    parameter = _check_tenant(change, many or (one,), entry, scope)
    if parameter is None:
        return change, many, one
    value = scope.value(entry)
    return change, [{**row, parameter: value} for row in many], {} if many else {**one, parameter: value}


def _check_tenant(change: UpdateBase, rows: Iterable[Mapping[str, Any]], entry: Entry, scope: Scope) -> str | None:
    """Give the parameter that takes the tenant; None for new rows which have it, or in a table without that column."""
    name = scope.catalog.settings.tenant_column
    column = _column(change.table, name)
    is_new = isinstance(change, Insert)
    if column is None:
        return None if is_new else _PARAMETER
    ours = scope.value(entry)
    pairs = assigned(change) if is_new else ()
    given = [getattr(value, "value", value) for key, value in pairs if name in columns_of(key, value, None)]
    for value in (*given, *(row.get(column.key, ours) for row in rows)):
        if isinstance(value, ClauseElement) or value != ours:
            whose = "an expression" if isinstance(value, ClauseElement) else repr(value)
            refuse(
                f"a row of {entry.name!r} has {name} = {whose} in a workspace of tenant {ours!r}",
                f"leave {name} out, it is set by itself",
            )
    if is_new and not given and has_many_values(change):
        refuse(
            f"an insert of several rows by values([…]) into {entry.name!r} lacks {name}, which can't be set there",
            "give the rows as parameters: connection.execute(insert(…), [{…}, …])",
        )
    return _PARAMETER if not is_new else None if given else str(column.key)


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

"""What keeps every statement and every flush of a session within its scope, or refuses it.

Criteria of SQLAlchemy's ORM hold the reading. What they can't see is refused: raw SQL, statements on bare tables, bulk
writes by primary key, values and rows of another tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.sql.elements import ClauseElement

from pinstripe.database.internals import assigned, columns_of
from pinstripe.database.raw_sql import is_query_or_change
from pinstripe.database.statements import Reach
from pinstripe.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Table
    from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState

    from pinstripe.database.catalog import Entry
    from pinstripe.database.scope import Scope

REMEDY = "use `database.<table>`, a statement on the mapped classes, or workspace.unscoped(reason=…)"


def check_options(state: ORMExecuteState) -> None:
    """Raise `IsolationError` for options of an execution that lead elsewhere, or past the ORM's criteria."""
    if "schema_translate_map" in state.execution_options:
        refuse("the execution option schema_translate_map leads to other schemas", "leave it out")
    if state.execution_options.get("dml_strategy", "auto") not in ("auto", "orm"):
        refuse("the execution option dml_strategy takes the ORM's criteria away", "leave it out")
    if "isolation_level" in state.execution_options:
        refuse("the execution option isolation_level is another connection's matter", "leave it out")
    if "bind" in (state.bind_arguments or {}):
        refuse("another engine can't be kept to the tenant", "leave `bind_arguments` out")


def check_statement(state: ORMExecuteState, scope: Scope) -> None:
    """Raise `IsolationError` or `TenantRequired` for a statement that can't be kept to the scope."""
    statement = state.statement
    if state.is_insert and scope.by_rows:
        refuse(
            "an insert can't be kept to the tenant", "use `database.<table>.insert(…)` or insert_many, or session.add"
        )
    if state.is_from_statement and not scope.text:
        refuse("from_statement can't be kept to the tenant", REMEDY)
    check_reach(Reach(statement, orm=state.is_orm_statement, between=scope.catalog.plain_between), scope)
    if not is_query_or_change(statement) and not scope.text:
        refuse(f"a statement that is neither a query nor a change ({type(statement).__name__}) can't be kept", REMEDY)
    if state.is_update or state.is_delete:
        _check_change(state, scope)


def check_expression(
    expression: Any, scope: Scope, *, orm: bool, own: Mapper[Any] | Table | None = None, condition: bool = False
) -> None:
    """Raise for an expression that names raw SQL, or tables that the scope doesn't reach.

    `orm` tells whether it becomes part of a statement that the ORM adds criteria to; `own` is the class or table that
    the statement is restricted for. `condition` tells that it becomes one of a query's conditions, which may bring
    other classes along.
    """
    between = scope.catalog.plain_between if orm else ()
    of = () if own is None else (own,)
    check_reach(Reach(expression, orm=orm, own=of, condition=condition, between=between), scope)


def check_reach(reach: Reach, scope: Scope, *, beside: Table | None = None) -> None:
    """Raise `IsolationError` or `TenantRequired` for what a statement reaches, `beside` one table, and isn't kept."""
    if reach.raw and not scope.text:
        refuse(f"SQL written as text ({_shown(reach.raw[0])}) can't be kept to the tenant", REMEDY)
    if reach.changes and scope.only_orm:
        refuse("a change inside of another statement can't be kept to the tenant", "execute it by itself")
    for table, kept in reach.tables():
        if table is beside:
            continue
        entry = _entry(table, scope)
        scope.require(entry)
        if scope.only_orm and entry.standing == "tenant" and not kept:
            refuse(
                f"table {entry.name!r} stands in a query where nothing would keep it to the tenant",
                "name its class by .join(…) or .select_from(…), or in a query of its own with in_(…) or exists(…); "
                f"or {REMEDY}",
            )


def _check_change(state: ORMExecuteState, scope: Scope) -> None:
    """Refuse an update by primary keys, of the tenant itself, or of what criteria don't hold for."""
    if not scope.by_rows:
        return
    if state.is_update:
        if state.parameters:
            refuse("an update by parameters can't be kept to the tenant", "use update(…).where(…).values(…)")
        check_assigned(assigned(state.statement), state.bind_mapper, scope)


def check_assigned(values: Iterable[tuple[Any, Any]], mapper: Mapper[Any] | None, scope: Scope) -> None:
    """Raise `IsolationError` where a change would set the tenant column, by whatever name."""
    tenant = scope.catalog.settings.tenant_column
    if scope.by_rows and any(tenant in columns_of(key, value, mapper) for key, value in values):
        refuse(f"{tenant} can't be changed: a row stays with its tenant", "insert the row anew where it belongs")


def check_flush(rows: Iterable[Any], scope: Scope, *, stamp: bool) -> None:
    """Raise for a row that doesn't belong to the scope; with `stamp` give one without a tenant that of the scope."""
    for row in rows:
        entry = scope.catalog.by_class.get(type(row))
        if entry is None:
            message = f"{type(row).__qualname__} is no mapped class of {scope.catalog.settings.models}"
            raise IsolationError(message)
        scope.require(entry)
        state: InstanceState[Any] = inspect(row)
        if state.key is not None and tuple(state.mapper.primary_key_from_instance(row)) != state.key[1]:
            _check_key(state)
        key = entry.tenant_key
        if key is None or not scope.by_rows or entry.standing != "tenant":
            continue
        ours = scope.value(entry)
        if key not in state.dict and state.key is not None:
            continue  # it was loaded under the criteria, and nobody has set its tenant
        found = state.dict.get(key)
        if found is None and stamp and state.key is None:
            setattr(row, key, ours)
        elif isinstance(found, ClauseElement) or found != ours or type(found) is not type(ours):
            whose = "an expression" if isinstance(found, ClauseElement) else repr(found)
            refuse(
                f"a row of {entry.name!r} has {key} = {whose} in a workspace of tenant {ours!r}",
                f"leave {key} out, it is set by itself",
            )


def _check_key(state: InstanceState[Any]) -> None:
    """Refuse a row whose key isn't the one it was read by: the database would be asked to change another row."""
    assert state.key is not None  # noqa: S101 - its caller has seen that
    for column, read in zip(state.mapper.primary_key, state.key[1], strict=True):
        attribute = state.mapper.get_property_by_column(column).key
        former = state.attrs[attribute].history
        known = former.deleted or former.unchanged
        if known and known[0] != read:
            refuse(
                f"a row of {state.mapper.class_.__name__} has another primary key than it was read by",
                "read the other row",
            )


def refuse(reason: str, remedy: str) -> None:
    """Raise `IsolationError` with the reason and what to do instead."""
    message = f"{reason}; {remedy}"
    raise IsolationError(message)


def _entry(table: Table, scope: Scope) -> Entry:
    entry = scope.catalog.by_table.get(table)
    if entry is None:
        message = f"table {table.fullname!r} is none that {scope.catalog.settings.models or 'this database'} declares"
        raise IsolationError(message)
    return entry


def _shown(element: object) -> str:
    text = " ".join(str(element).split())
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


_SHOWN = 60
"""How many characters of a statement a message shows."""

"""What keeps every statement and every flush of a session within its scope, or refuses it.

Criteria of SQLAlchemy's ORM hold the reading. What they can't see is refused: raw SQL, statements on bare tables, bulk
writes by primary key, values and rows of another tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.sql.elements import ClauseElement

from pinstripe.database.internals import assigned
from pinstripe.database.statements import Reach
from pinstripe.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Table
    from sqlalchemy.orm import ORMExecuteState

    from pinstripe.database.catalog import Entry
    from pinstripe.database.scope import Scope

REMEDY = "use `database.<table>`, a statement on the mapped classes, or workspace.unscoped(reason=…)"


def check_statement(state: ORMExecuteState, scope: Scope) -> None:
    """Raise `IsolationError` or `TenantRequired` for a statement that can't be kept to the scope."""
    statement = state.statement
    if state.is_insert and scope.by_rows:
        refuse(
            "an insert can't be kept to the tenant", "use `database.<table>.insert(…)` or insert_many, or session.add"
        )
    if state.is_from_statement and not scope.text:
        refuse("from_statement can't be kept to the tenant", REMEDY)
    if "schema_translate_map" in state.execution_options:
        refuse("the execution option schema_translate_map leads to other schemas", "leave it out")
    if "bind" in (state.bind_arguments or {}):
        refuse("another engine can't be kept to the tenant", "leave `bind_arguments` out")
    check_expression(statement, scope, orm=state.is_orm_statement)
    if state.is_update or state.is_delete:
        _check_change(state, scope)


def check_expression(expression: Any, scope: Scope, *, orm: bool, own: Table | None = None) -> None:
    """Raise for an expression that names raw SQL, or tables that the scope doesn't reach.

    `orm` tells whether it becomes part of a statement that the ORM adds criteria to; `own` is the table of that
    statement where it is restricted to the tenant already.
    """
    reach = Reach(expression, own)
    if reach.raw and not scope.text:
        refuse(f"SQL written as text ({_shown(reach.raw[0])}) can't be kept to the tenant", REMEDY)
    for table, seen in reach.tables():
        entry = _entry(table, scope)
        scope.require(entry)
        if scope.only_orm and entry.standing == "tenant" and not (seen and (orm or table is own)):
            refuse(f"table {entry.name!r} stands in a statement where no criteria hold for it", REMEDY)


def _check_change(state: ORMExecuteState, scope: Scope) -> None:
    """Refuse an update by primary keys, of the tenant itself, or joined to other tables."""
    if not scope.by_rows:
        return
    statement: Any = state.statement
    if state.is_update:
        if state.parameters:
            refuse("an update by parameters can't be kept to the tenant", "use update(…).where(…).values(…)")
        for name, _ in assigned(statement):
            check_assigned(name, scope)
    reach = Reach(statement)
    tables = {_entry(table, scope).name for table in reach.outermost() if not _is_shared(table, scope)}
    other_names = [f"{table.name} by another name" for table in reach.aliases() if not _is_shared(table, scope)]
    if len(tables) > 1 or other_names:
        tables.update(other_names)
        refuse(
            f"a change of one table joined to another ({', '.join(sorted(tables))}) can't be kept to the tenant",
            "put the other one into a subquery: .where(User.id.in_(select(Post.user_id)))",
        )


def check_assigned(name: str, scope: Scope) -> None:
    """Raise `IsolationError` where a change would set the tenant column."""
    if scope.by_rows and name == scope.catalog.settings.tenant_column:
        refuse(f"{name} can't be changed: a row stays with its tenant", "insert the row anew where it belongs")


def check_flush(rows: Iterable[Any], scope: Scope, *, stamp: bool) -> None:
    """Raise for a row that doesn't belong to the scope; with `stamp` give one without a tenant that of the scope."""
    for row in rows:
        entry = scope.catalog.by_class.get(type(row))
        if entry is None:
            message = f"{type(row).__qualname__} is no mapped class of {scope.catalog.settings.models}"
            raise IsolationError(message)
        scope.require(entry)
        key = entry.tenant_key
        if key is None or not scope.by_rows or entry.standing != "tenant":
            continue
        ours = scope.value(entry)
        state = inspect(row)
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


def _is_shared(table: Table, scope: Scope) -> bool:
    return _entry(table, scope).standing == "shared"


def _shown(element: ClauseElement) -> str:
    text = " ".join(str(element).split())
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


_SHOWN = 60
"""How many characters of a statement a message shows."""

"""An author's own expressions in operations of the table facade: what they may name, so that they stay in the scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Table
from sqlalchemy.sql.elements import ClauseElement, ColumnClause
from sqlalchemy.sql.selectable import AliasedReturnsRows, SelectBase

from pinstripe.database.guards import check_expression, refuse
from pinstripe.database.internals import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.database.scope import Scope


def is_expression(value: object) -> bool:
    """Tell whether a value is one of SQLAlchemy's expressions; a class's attribute stands for that of its column."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


def clause_of(expression: Any) -> Any:
    """Give the expression that SQLAlchemy takes something for: a mapped attribute is one of a column."""
    made = getattr(expression, "__clause_element__", None)
    return expression if made is None else made()


def check_bare(expression: Any, scope: Scope, own: Table | None) -> None:
    """Raise for an expression in a statement, or a part of one, where no criteria of the ORM hold.

    It may name columns of `own`, the table that the statement is restricted for, and what is shared; a query inside it
    may read what is shared only.
    """
    clause = clause_of(expression)
    check_expression(clause, scope, orm=False, own=own)
    _check_named(clause, scope, own, orm=False)


def check_changed(expression: Any, scope: Scope, own: Table) -> None:
    """Raise for a new value of rows of `own`, whose update the ORM's criteria hold for.

    Other tables, and other names of the same one, would be joined to the update without any restriction; a query inside
    the expression is kept to the scope as any other.
    """
    clause = clause_of(expression)
    check_expression(clause, scope, orm=True, own=own)
    _check_named(clause, scope, own, orm=True)


def _check_named(clause: Any, scope: Scope, own: Table | None, *, orm: bool) -> None:
    if not scope.only_orm:
        return
    for table, is_other, inside in _tables(clause):
        entry = scope.catalog.by_table.get(table)
        if entry is not None and entry.standing == "shared":
            continue
        if (inside and not orm) or (not inside and (is_other or table != own)):
            refuse(
                f"an expression names rows of {table.name!r} where nothing would keep them to the tenant",
                "read what it needs first, and give it as a value",
            )


def _tables(clause: Any) -> Iterator[tuple[Table, bool, bool]]:
    """Give the tables that an expression names: each with whether by an alias, and whether inside of a query."""
    stack: list[tuple[Any, bool]] = [(clause, False)]
    done: dict[tuple[int, bool], Any] = {}  # it holds the elements too: no id is used again
    while stack:
        element, inside = stack.pop()
        if (id(element), inside) in done or not isinstance(element, ClauseElement):
            continue
        done[id(element), inside] = element
        if isinstance(element, Table):
            yield element, False, inside
        elif isinstance(element, AliasedReturnsRows) and isinstance(element.element, Table):
            yield element.element, True, inside
        else:
            if isinstance(element, ColumnClause):
                stack.append((element.table, inside))
            within = inside or isinstance(element, SelectBase)
            stack.extend((child, within) for child in children(element))

"""Queries of the table facade that were built before: where only the values of lookups differ, one statement serves.

A job asks the same of every tenant, and building a statement of SQLAlchemy takes longer than many a database needs to
answer it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BindParameter, Integer, Select, String, bindparam
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from pinstripe.comparisons import TEXT_COMPARISONS
from pinstripe.database.conditions import conditions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.elements import ColumnElement

    from pinstripe.database.catalog import Entry
    from pinstripe.database.session import ScopedSession

    Lookups = tuple[tuple[str, object], ...]

KEPT = 500
"""How many statements are kept; then all are forgotten, which costs one building each."""


class Prepared(NamedTuple):
    """A statement that keeps to the scope by itself, with the values of its parameters."""

    statement: Select[Any]
    values: dict[str, object]


def prepare(
    session: ScopedSession,
    entry: Entry,
    lookups: Lookups,
    rest: tuple[object, ...],
    build: Callable[[list[ColumnElement[bool]]], Select[Any]],
) -> Prepared | None:
    """Give the statement on `entry` that `build` makes of the conditions; None where it has to be built each time.

    `rest` is all that makes `build` give another statement besides the lookups. Raises as `conditions` does, and as
    `Scope.restriction`.
    """
    shape = _shape(lookups)
    if shape is None:
        return None
    scope = session.scope
    kept = scope.catalog.prepared
    reach = (session.everything, scope.tenant is None, session.means.sqlite)
    key = (entry.entity, shape, rest, reach)
    if key not in kept:
        found = _conditions(session, entry, lookups)
        statement = None if found is None else build(found)
        if statement is not None and entry.mapper is not None and not session.everything:
            statement = statement.options(*scope.criteria)
        if len(kept) >= KEPT:
            kept.clear()
        kept[key] = statement
    statement = kept[key]
    if statement is None:
        return None
    given = {_name(index): value for index, (_, value) in enumerate(lookups) if type(value) in _KINDS}
    return Prepared(statement, {**scope.parameters, **given})


def _shape(lookups: Lookups) -> tuple[object, ...] | None:
    """Tell what the conditions of lookups depend on besides the values that become parameters; None where on more.

    Those are texts and numbers that every database can hold, and that it compares as they are.
    """
    shape: list[object] = []
    for name, value in lookups:
        # Of exactly these types: what derives from them may compare as it likes.
        if isinstance(value, bool) or value is None:
            shape += (name, (type(value), value))
        elif type(value) is str and value.isascii() and "\0" not in value:
            shape += (name, str)
        elif type(value) is int and -_LARGE < value < _LARGE:
            shape += (name, int)
        else:
            return None
    return tuple(shape)


def _conditions(session: ScopedSession, entry: Entry, lookups: Lookups) -> list[ColumnElement[bool]] | None:
    """Write the conditions, that of the scope first, with parameters for values; None where that can't be."""
    dialect = "sqlite" if session.means.sqlite else "postgresql"
    restriction = session.scope.restriction(entry, given=True)
    found = [] if restriction is None else [restriction]
    for index, (name, value) in enumerate(lookups):
        [condition] = conditions(entry.entity, {name: value}, dialect)
        with_parameter = _with_parameter(condition, name, value, _name(index))
        if with_parameter is None:
            return None
        found.append(with_parameter)
    return found


def _with_parameter(
    condition: ColumnElement[bool], lookup: str, value: object, name: str
) -> ColumnElement[bool] | None:
    """Give the condition with the parameter `name` in the place of the value; None where the value does more there."""
    parameters = [element for element in iterate(condition) if isinstance(element, BindParameter)]
    if type(value) not in _KINDS:
        return None if parameters else condition
    if len(parameters) != 1 or lookup.rpartition("__")[2] in TEXT_COMPARISONS:
        return None
    [parameter] = parameters
    if not isinstance(condition, BinaryExpression) or condition.right is not parameter:
        return None
    if type(parameter.value) is not type(value) or parameter.value != value:
        return None
    if not isinstance(parameter.type, String | Integer):  # of another type, the condition may depend on the value
        return None
    named: BindParameter[Any] = bindparam(name, type_=parameter.type, required=True)
    return replacement_traverse(condition, {}, lambda element, **_: named if element is parameter else None)


def _name(index: int) -> str:
    return f"pinstripe_value_{index}"


_KINDS = (str, int)

_LARGE = 2**31

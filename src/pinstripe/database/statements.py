"""What a statement reaches: every table that it names, and every piece of raw SQL in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table, TableClause, TextClause
from sqlalchemy.sql.elements import ClauseElement, ColumnClause
from sqlalchemy.sql.selectable import SelectBase, TextualSelect

from pinstripe.database.internals import children, entity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Mapper

_HARMLESS = ("*", "1")
"""What SQLAlchemy itself writes as text, in `count(*)` and `exists (select 1 …)`."""

Query = tuple[int, ...]
"""Where in a statement something stands: the ids of the queries around it, outermost first."""


class Reach:
    """What one statement or expression names, wherever it stands in it.

    A table is *seen* where the ORM knows it as that of a mapped class, so that the criteria of that class hold for it.
    A bare column of it beside that is no more than another name for the same rows; alone it would bring its table into
    the query without any criteria.
    """

    def __init__(self, statement: Any, own: Table | None = None) -> None:
        """Read the `statement`; `own` is the table that an expression is put to, whose columns may then be bare."""
        self.raw: list[ClauseElement] = []
        """The pieces of SQL that were written as text."""
        self._seen: dict[Query, dict[Table, None]] = {} if own is None else {(): {own: None}}
        self._bare: list[tuple[Table, Query]] = []  # tables that were put into the statement as such
        self._columns: list[tuple[Table, Query]] = []
        self._read(statement)

    def tables(self) -> Iterator[tuple[Table, bool]]:
        """Go over the tables, each with whether criteria of a mapped class hold for it wherever it is named."""
        for tables in self._seen.values():
            yield from ((table, True) for table in tables)
        yield from ((table, False) for table, _ in self._bare)
        for table, query in self._columns:
            yield table, any(table in self._seen.get(query[:depth], ()) for depth in range(len(query) + 1))

    def outermost(self) -> Iterable[Table]:
        """Give the tables that are named outside of every query inside the statement."""
        named = [*self._seen.get((), ())]
        return [*named, *(table for table, query in (*self._bare, *self._columns) if not query)]

    def _read(self, statement: Any) -> None:
        done: dict[tuple[int, Mapper[Any] | None, Query], Any] = {}  # it holds the elements too: no id is used again
        stack: list[tuple[Any, Mapper[Any] | None, Query]] = [(statement, None, ())]
        while stack:
            element, mapper, query = stack.pop()
            if not isinstance(element, ClauseElement):
                continue
            mapper = entity_of(element) or mapper
            if (id(element), mapper, query) in done:
                continue
            done[id(element), mapper, query] = element
            if isinstance(element, Table):
                self._add(self._bare, element, mapper, query)
                continue
            if isinstance(element, ColumnClause) and isinstance(element.table, Table):
                self._add(self._columns, element.table, mapper, query)
                continue
            if _is_raw(element):
                self.raw.append(element)
            if isinstance(element, ColumnClause) and element.table is not None:
                stack.append((element.table, mapper, query))
            inside = (*query, id(element)) if element is not statement and isinstance(element, SelectBase) else query
            stack.extend((child, mapper, inside) for child in children(element))

    def _add(self, unseen: list[tuple[Table, Query]], table: Table, mapper: Mapper[Any] | None, query: Query) -> None:
        if mapper is not None and any(table in each.tables for each in mapper.self_and_descendants):
            self._seen.setdefault(query, {})[table] = None
        else:
            unseen.append((table, query))


def _is_raw(element: ClauseElement) -> bool:
    """Tell whether an element is SQL that the author wrote as text, or names a table as text."""
    if isinstance(element, ColumnClause) and not isinstance(element, Column):
        return bool(element.is_literal) and element.name not in _HARMLESS
    return isinstance(element, TextClause | TextualSelect | TableClause)

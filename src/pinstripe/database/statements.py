"""What a statement reaches: every table that it names, and whether the ORM keeps it to the tenant there.

The ORM gives each query of a statement the criteria of the entities (mapped classes and aliases of them) that it knows
to be in it: those of the first column in each expression that is selected, those read from or joined, and those on the
surface of its conditions. A table that comes into a query in any other way would be read without criteria.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, Column, CompoundSelect, Exists, Select, Table
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ClauseElement, ColumnClause, Grouping
from sqlalchemy.sql.selectable import AliasedReturnsRows, Join, ScalarSelect, SelectBase
from sqlalchemy.sql.visitors import iterate

from pinstripe.database.internals import (
    aliases_loaded,
    children,
    children_beside,
    correlates,
    entities_in,
    entity_of,
    filled_from,
    first_entity_of,
    is_orm,
    options_of,
    related,
    selected,
)
from pinstripe.database.raw_sql import raw_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy.orm import Mapper


class Reach:
    """What one statement or expression names, wherever it stands in it."""

    def __init__(
        self,
        statement: Any,
        *,
        orm: bool = True,
        own: Iterable[Mapper[Any] | Table] = (),
        condition: bool = False,
        criteria: bool | None = None,
        between: Collection[Table] = (),
    ) -> None:
        """Read the `statement`.

        An expression becomes part of one, which is the ORM's or not (`orm`) and is restricted to the tenant for the
        classes and tables `own`; `condition` tells that it becomes one of its conditions. `criteria` tells whether the
        statement has criteria for the queries of the ORM in it; by default, whether it can be given some. Tables
        `between` two classes may be joined to those without being named: see `_joined_between`.
        """
        self.raw: list[object] = []
        """The pieces of SQL that were written as text."""
        self.changes: list[UpdateBase] = []
        """Statements inside of it that change something."""
        self._between = between
        self._queries: list[_Query] = []
        self._known: dict[tuple[int, int], Any] = {}  # it holds the queries too: no id is used again
        self._has_criteria = orm or takes_criteria(statement) if criteria is None else criteria
        outermost = _Query(None, None, inline=False, orm=orm)
        for one in own:
            if isinstance(one, Table):
                outermost.tables.add(one)
            else:
                outermost.cover(one)
        if condition:
            outermost.cover_condition(statement)
        self._outermost = self._add(outermost)
        self._read(statement, outermost)

    def tables(self) -> Iterator[tuple[Table, bool]]:
        """Go over the tables, each with whether it is kept to the tenant wherever it is named."""
        for query in self._queries:
            for entity in query.named:
                kept = query.keeps(entity)
                yield from ((table, kept) for table in entity.mapper.tables)
            yield from ((table, False) for table in query.bare)
            yield from ((table, query.keeps_table(table)) for table in query.columns)

    def _add(self, query: _Query) -> _Query:
        self._queries.append(query)
        return query

    def _read(self, statement: Any, outermost: _Query) -> None:
        done: dict[tuple[int, int, int], Any] = {}  # it holds the elements too: no id is used again
        stack: list[tuple[Any, _Query, Any, bool]] = [(statement, outermost, None, False)]
        while stack:
            element, query, entity, inline = stack.pop()
            if not isinstance(element, ClauseElement) or (id(element), id(query), id(entity)) in done:
                continue
            done[id(element), id(query), id(entity)] = element
            raw = raw_sql(element) if not isinstance(element, Table) else None
            if raw is not None:
                self.raw.append(raw)
            stack.extend(self._follow(element, query, entity, inline=inline))

    def _follow(self, element: Any, query: _Query, entity: Any, *, inline: bool) -> Iterator[_Step]:
        """Note what an element names, and give what is to be read in it."""
        yield from self._options(element, query)
        if isinstance(element, Table):
            query.name(entity if entity is _NOBODY else entity_of(element) or entity, element)
        elif isinstance(element, ColumnClause):
            yield from self._column(element, query)
        elif isinstance(element, AliasedReturnsRows | Join):
            yield from self._source(element, query, entity)
        elif isinstance(element, UpdateBase):
            yield from self._change(element, query)
        elif isinstance(element, Select):
            yield from self._query(element, query, inline=inline)
        else:
            context = None if isinstance(element, SelectBase) else entity_of(element) or entity
            inside = isinstance(element, Exists | ScalarSelect) or (inline and isinstance(element, SelectBase))
            yield from ((one, query, context, inside) for one in children(element))

    def _column(self, column: Any, query: _Query) -> Iterator[_Step]:
        made_of = entity_of(column)
        if made_of is not None:
            query.named[made_of] = None
            if made_of.is_aliased_class:
                yield made_of.selectable, query, made_of, False
        elif isinstance(column, Column) and isinstance(column.table, Table):
            query.columns[column.table] = None
        elif column.table is not None:
            yield column.table, query, None, False

    def _source(self, element: Any, query: _Query, entity: Any) -> Iterator[_Step]:
        """Look at an alias or a join: it stands for a class or an alias of one, or for no more than its tables."""
        made_of = entity_of(element)
        if isinstance(element, Join):
            of, within = made_of or entity, element
        else:
            of, within = entity if made_of is None or not made_of.is_aliased_class else made_of, element.element
            of = of if of is not None and of is not _NOBODY and of.is_aliased_class else _NOBODY
        is_entity = of is not None and of is not _NOBODY
        if is_entity and (not isinstance(element, Join) or _is_whole(within, of.mapper)):
            query.named[of] = None
        if not is_entity or not _is_whole(within, of.mapper):
            inside = None if isinstance(element, Join) else of
            yield from ((one, query, inside, False) for one in children(element))

    def _query(self, select: Any, outer: _Query, *, inline: bool) -> Iterator[_Step]:
        place = id(select), id(outer) if inline else 0
        if place in self._known:
            return  # a recursive query names itself
        self._known[place] = select
        query = self._add(_Query(select, outer, inline=inline, orm=self._has_criteria and is_orm(select)))
        parts = selected(select)
        for column in parts.columns:
            query.cover(*first_entity_of(column))
        for one in parts.froms:
            made_of = entity_of(one)
            if made_of is not None and not isinstance(one, Join):
                query.cover(made_of)
        for target, on in parts.joins:
            yield from self._join(target, on, query)
        for condition in parts.where:
            query.cover_condition(condition)
        for entity, element in filled_from(select):
            if entity is None:
                yield element, query, None, False
            else:
                query.named[entity] = None
        joined = _joined_between(parts.where, self._between) if self._between else set()
        froms = [one for one in parts.froms if one not in joined]
        where = [each for one in parts.where for each in (_without(one, joined, self._between) if joined else (one,))]
        for part in (parts.columns, froms, where, children_beside(select)):
            yield from ((one, query, None, False) for one in part)

    def _join(self, target: Any, on: Any, query: _Query) -> Iterator[_Step]:
        to = related(target) or related(on)
        if to is None:
            yield from ((_clause(one), query, None, False) for one in (target, on))
            made_of = entity_of(_clause(target))
        else:
            # The tables between the two classes are no more than the way from one to the other.
            made_of, extra = to
            query.named[made_of] = None
            yield from ((one, query, None, False) for one in extra)
            if not related(target):
                yield _clause(target), query, None, False
        if made_of is not None:
            query.cover(made_of)

    def _change(self, change: UpdateBase, outer: _Query) -> Iterator[_Step]:
        query = outer
        if outer is not self._outermost or outer.named or outer.is_change:
            self.changes.append(change)
            query = self._add(_Query(change, outer, inline=False, orm=self._has_criteria and is_orm(change)))
        query.is_change = True
        made_of = entity_of(change.table)
        if made_of is not None and not made_of.is_aliased_class and len(made_of.tables) == 1:
            query.cover(made_of)
        yield from ((one, query, None, False) for one in children(change))

    def _options(self, element: Any, query: _Query) -> Iterator[_Step]:
        for entities, expression in options_of(element):
            inside = self._add(_Query(None, query, inline=True, orm=query.orm))
            inside.cover(*entities)
            yield expression, inside, None, False
        for alias in aliases_loaded(element):
            inside = self._add(_Query(None, query, inline=True, orm=query.orm))
            inside.cover(alias)
            yield alias.selectable, inside, alias, False


def takes_criteria(statement: Any) -> bool:
    """Tell whether criteria can be added to a statement that isn't the ORM's itself, for those in it that are.

    `select(exists().where(User.name == "x"))` is one: the ORM sees `User` inside of the `exists` only.
    """
    return isinstance(statement, Select | CompoundSelect)


_Step = tuple[Any, "_Query", Any, bool]
"""What is to be read: an element, the query it stands in, whose tables it has, and whether it may correlate."""


class _Query:
    """One query of a statement, or a change, or what stands outside of all queries."""

    def __init__(self, element: Any, outer: _Query | None, *, inline: bool, orm: bool) -> None:
        self.element = element
        self.outer = outer
        self.inline = inline  # it stands among the expressions of `outer`, where it may take tables from
        self.orm = orm
        self.is_change = False
        self.named: dict[Any, None] = {}
        self.bare: dict[Table, None] = {}  # tables that were put into the query as such
        self.columns: dict[Table, None] = {}  # tables of bare columns
        self.tables: set[Any] = set()  # what is read with criteria, not as an alias
        self._covered: dict[Any, None] = {}

    def name(self, entity: Any, table: Table) -> None:
        if (
            entity is None
            or entity is _NOBODY
            or not any(table in each.tables for each in entity.mapper.self_and_descendants)
        ):
            self.bare[table] = None
        else:
            self.named[entity] = None

    def cover(self, *entities: Any) -> None:
        for entity in entities:
            self._covered[entity] = None
            if not entity.is_aliased_class:
                self.tables.update(entity.tables)

    def cover_condition(self, condition: Any) -> None:
        """Cover what stands on the surface of a condition: it brings the table of its column along, and no other."""
        self.cover(*(entity for entity in entities_in(condition) if len(entity.mapper.tables) == 1))

    def keeps(self, entity: Any) -> bool:
        tables = () if entity.is_aliased_class else entity.tables
        if not self.orm:
            return self.outer is None and not self.tables.isdisjoint(tables)
        if entity in self._covered:
            return True
        if tables and self.tables.issuperset(tables):
            return True
        return self._takes(tables or [entity.selectable]) and self.outer is not None and self.outer.keeps(entity)

    def keeps_table(self, table: Table) -> bool:
        if table in self.tables:
            return True
        return self._takes([table]) and self.outer is not None and self.outer.keeps_table(table)

    def _takes(self, tables: Iterable[Any]) -> bool:
        return self.inline and (self.element is None or correlates(self.element, tables))


class _Nobody:
    """Stands for no entity where a table has one: an alias of a table that isn't an alias of its class."""

    mapper = None


_NOBODY = _Nobody()


def _joined_between(conditions: Iterable[Any], between: Collection[Table]) -> set[Any]:
    """Give the tables of those `between` two classes, or aliases, that a query joins as `User.tags.any()` does.

    At least two of its columns are then equal to something each, one of them to a column, which is looked at by itself;
    each of these conditions has to hold. A column that stands anywhere else is found there, and names the table.
    """
    found: dict[Any, dict[str, Any]] = {}  # of each table its columns, with what they are equal to
    for condition in conditions:
        for column, other in filter(None, (_equal_between(one, between) for one in _all_of(condition))):
            found.setdefault(column.table, {})[column.key] = other
    return {
        table
        for table, others in found.items()
        if len(others) > 1 and any(isinstance(other, Column) for other in others.values())
    }


def _without(condition: Any, joined: set[Any], between: Collection[Table]) -> Iterator[Any]:
    """Give the parts of a condition; of one by which a table is `joined`, what its column is equal to."""
    for one in _all_of(condition):
        found = _equal_between(one, between)
        yield one if found is None or found[0].table not in joined else found[1]


def _all_of(condition: Any) -> Iterator[Any]:
    """Give the conditions which all have to hold where this one does."""
    if isinstance(condition, Grouping):
        yield from _all_of(condition.element)
    elif isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for one in condition.clauses:
            yield from _all_of(one)
    else:
        yield condition


def _equal_between(condition: Any, between: Collection[Table]) -> tuple[Any, Any] | None:
    """Give the column of a table `between` and the class's column, or the value, that it is equal to."""
    if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
        return None
    for column, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if not isinstance(column, Column) or not isinstance(other, Column | BindParameter):
            continue
        of: Any = column.table
        if (of.element if isinstance(of, AliasedReturnsRows) else of) in between:
            return column, other
    return None


def _is_whole(element: Any, mapper: Mapper[Any]) -> bool:
    """Tell whether an alias of a class is that of its tables joined, as the ORM makes it, and of nothing else."""
    if isinstance(element, Select):
        parts = selected(element)
        if parts.where or parts.joins or not all(isinstance(column, Column) for column in parts.columns):
            return False
        parts_of = list(iterate(element))
        queries = sum(isinstance(one, SelectBase) for one in parts_of)
    else:
        parts_of, queries = list(iterate(element)), 1
    tables = {table for each in mapper.self_and_descendants for table in each.tables}
    return queries == 1 and all(one in tables for one in parts_of if isinstance(one, Table))


def _clause(element: Any) -> Any:
    while hasattr(element, "__clause_element__") and not isinstance(element, ClauseElement):
        element = element.__clause_element__()
    return element

"""What authors' classes and tables read by themselves, past what keeps a query to the tenant.

A query of a class brings along what the class says: the expressions of its columns, and how its relationships join and
order. SQLAlchemy's ORM gives the classes named there their criteria too, but sees no tables, and no SQL in text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table
from sqlalchemy.sql.selectable import Join
from sqlalchemy.sql.visitors import iterate

from pinstripe.database.internals import is_plain_alias
from pinstripe.database.statements import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Mapper, RelationshipProperty

    from pinstripe.database.catalog import Catalog, Entry


def find_class_faults(catalog: Catalog) -> dict[Any, str]:
    """Say of each class or table of the `catalog` that would read rows of all tenants by itself what does so.

    There can be some only where each row says whose it is; but where schemas keep tenants apart, too, nothing is known
    of classes that aren't the models', so what leads to one can't be used. A class is given also for what those have
    that inherit it, since a query of it may read theirs.
    """
    look = {"rows": _faults_of, "schemas": _leading_out}.get(catalog.isolation)
    if look is None:
        return {}
    faults: dict[Any, str] = {}
    for entry in (*catalog, *catalog.by_class.values()):
        fault = next(look(entry, catalog), None)
        if fault is not None:
            faults[entry.entity] = fault
    return faults


def _leading_out(entry: Entry, catalog: Catalog) -> Iterator[str]:
    """Look at where relationships lead: criteria are given to classes of the models, and to no others."""
    for mapper in [] if entry.mapper is None else entry.mapper.self_and_descendants:
        for relationship in mapper.relationships:
            if relationship.mapper.class_ not in catalog.by_class:
                name = f"{relationship.parent.class_.__qualname__}.{relationship.key}"
                other = relationship.mapper.class_.__qualname__
                yield (
                    f"{name} leads to {other}, which is no mapped class of {catalog.settings.models}; expected that "
                    "module to import it, or the base that it derives from"
                )


def _faults_of(entry: Entry, catalog: Catalog) -> Iterator[str]:
    yield from _leading_out(entry, catalog)
    mappers = [] if entry.mapper is None else list(entry.mapper.self_and_descendants)
    tables: dict[Any, None] = dict.fromkeys(table for mapper in mappers for table in mapper.tables)
    for mapper in mappers:
        yield from _in_columns(mapper, catalog)
        for relationship in mapper.relationships:
            yield from _in_relationship(relationship, catalog)
    for table in tables or (entry.table,):
        yield from _in_defaults(table, catalog)


def _in_columns(mapper: Mapper[Any], catalog: Catalog) -> Iterator[str]:
    for attribute in mapper.column_attrs:
        for expression in attribute.columns:
            if not isinstance(expression, Column):
                name = f"{attribute.parent.class_.__qualname__}.{attribute.key}"
                yield from _said(name, Reach(expression, own=(mapper,)), catalog)


def _in_relationship(relationship: RelationshipProperty[Any], catalog: Catalog) -> Iterator[str]:
    name = f"{relationship.parent.class_.__qualname__}.{relationship.key}"
    own: list[Any] = [relationship.parent, relationship.entity]
    parts: list[Any] = [relationship.primaryjoin, relationship.secondaryjoin, *(relationship.order_by or ())]
    between: Any = relationship.secondary
    if isinstance(between, Table | Join):  # no more than the way from one class to the other
        own += [table for table in iterate(between) if isinstance(table, Table)]
        parts += [join.onclause for join in iterate(between) if isinstance(join, Join)]
    else:
        parts.append(between)
    if relationship.entity.is_aliased_class and not is_plain_alias(relationship.entity):
        parts.append(relationship.entity.selectable)
    for part in parts:
        if part is not None:
            yield from _said(name, Reach(part, own=own), catalog)


def _in_defaults(table: Table, catalog: Catalog) -> Iterator[str]:
    """Look at what is inserted by itself: it is computed where no criteria hold, whatever it is written with."""
    for column in table.columns:
        for default in (column.default, column.onupdate):
            expression = getattr(default, "arg", None)
            if default is None or not default.is_clause_element:
                continue
            reach = Reach(expression, orm=False)
            name = f"the default of {table.name}.{column.name}"
            if reach.raw:
                yield _TEXT.format(name=name)
            for named, _ in reach.tables():
                found = catalog.by_table.get(named)
                if found is None or found.standing != "shared":
                    yield f"{name} reads table {named.name!r} of all tenants; compute it in the job, and give it"


def _said(name: str, reach: Reach, catalog: Catalog) -> Iterator[str]:
    if reach.raw:
        yield _TEXT.format(name=name)
    for table, kept in reach.tables():
        entry = catalog.by_table.get(table)
        if kept or (entry is not None and entry.standing == "shared"):
            continue
        if entry is not None and entry.standing == "undeclared":
            yield f"{name} can't be used: {catalog.undeclared(entry)}"
        else:
            yield (
                f"{name} reads table {table.name!r} where nothing would keep it to the tenant; write it with mapped "
                f"classes, as select(func.count(Post.id)) rather than select(func.count(posts.c.id))"
            )


_TEXT = "{name} has SQL written as text, which can't be kept to the tenant; write it with mapped classes"

"""Tenants from a table of the application's own database, filtered and read in pages by the database itself."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from uuid import UUID

from sqlalchemy import Enum, Integer, String, Table, Text, cast, inspect, literal, or_, select, tuple_, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from pinstripe.comparisons import Checks, Lookup, read_lookups
from pinstripe.database.column_values import kept_type, plain_type, python_type
from pinstripe.database.conditions import column_of, condition, find_column
from pinstripe.database.text_conditions import by_code_point
from pinstripe.errors import PinstripeError, TenantSourceFailed, UnknownColumn
from pinstripe.postgres_outages import reason
from pinstripe.setting_keys import hide_passwords
from pinstripe.tenant_items import Selector

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Mapper

    from pinstripe.database.catalog import Entry
    from pinstripe.tenant_items import Check
    from pinstripe.tenants import Tenant

PAGE = 1_000
"""How many rows are read at once."""

IDS = 500
"""How many ids are asked for at once."""

VALUES = 10_000
"""How many values `distinct` gives at most."""


class Reader(Protocol):
    """Reads from the application's database, without regard to any tenant."""

    @property
    def dialect(self) -> str:
        """The name of its dialect: "sqlite" or "postgresql"."""
        ...

    async def entry(self, table: str | type) -> Entry:
        """Give the table, by its name or its mapped class; raises `UnknownTable`."""
        ...

    async def rows(self, statement: Select[Any]) -> list[Any]:
        """Execute `statement` on a connection that is given back before this returns, and give all its rows.

        A statement that selects a mapped class gives instances, detached; any other gives rows. Raises
        `DatabaseUnavailable`, or whatever else the database raised.
        """
        ...


class TableTenants:
    """A `TenantSource` over a table, or a mapped class, of the application's database; filters run there.

    It answers as `Tenants` does over the same rows. A tenant's attributes are those of the class's instance, or the
    row's columns; its id is the attribute `key`, as text. Nothing is open between two pages.

    `TableTenants(reader, "tenants", key="slug").where(active=True)`
    """

    __slots__ = ("_key", "_lookups", "_name", "_reader", "_table")

    def __init__(self, reader: Reader, table: str | type, *, key: str = "id", name: str | None = None) -> None:
        """Take what reads the `table`, the attribute `key` that holds the id, and the `name` for messages."""
        self._reader = reader
        self._table = table
        self._key = key
        self._name = name or (table if isinstance(table, str) else table.__qualname__)
        self._lookups: tuple[tuple[Lookup, bool], ...] = ()

    def where(self, **lookups: Any) -> Self:
        """Give a source of only those tenants for which every lookup holds.

        Raises `ConfigurationError` for an unknown comparison here, and when read for a column that the table doesn't
        have or that can't be compared with the value.
        """
        return self._narrowed((lookup, False) for lookup in read_lookups(lookups))

    def where_active(self, attribute: str) -> Self:
        """Give a source of only those tenants whose `attribute` is true; of all, where the table has no such column."""
        return self._narrowed((lookup, True) for lookup in read_lookups({attribute: True}))

    def _narrowed(self, lookups: Iterable[tuple[Lookup, bool]]) -> Self:
        new = object.__new__(type(self))
        new._reader, new._table, new._key, new._name = self._reader, self._table, self._key, self._name
        new._lookups = (*self._lookups, *lookups)
        return new

    @property
    def description(self) -> str:
        """The filter in words, `active=True, seats__ge=5`, or `all`."""
        return ", ".join(str(lookup) for lookup, _ in self._lookups) or "all"

    def __repr__(self) -> str:
        """Show the table's name and the filter."""
        return f"TableTenants({self._name}: {self.description})"

    async def __aiter__(self) -> AsyncGenerator[Tenant, None]:
        """Read the tenants one after another, in the order of their ids; raises `TenantSourceFailed`."""
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for tenant in page:
                    yield tenant

    async def pages(self, size: int = PAGE) -> AsyncGenerator[list[Tenant], None]:
        """Read the tenants in lists of at most `size`, each with a query of its own; raises as iterating does."""
        reading = await self._open()
        async with aclosing(reading.pages(size)) as pages:
            async for page in pages:
                yield page

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        """Give those of the tenants with these `ids` that the table has, by id, in the order of `ids`.

        Raises as iterating does.
        """
        wanted = list(dict.fromkeys(str.__str__(one) for one in ids))
        if not wanted:
            return {}
        reading = await self._open()
        found: dict[str, Tenant] = {}
        for first in range(0, len(wanted), IDS):
            await reading.find(wanted[first : first + IDS], found)
        return {one: found[one] for one in wanted if one in found}

    async def distinct(self, attribute: str) -> list[object] | None:
        """Give the values of the column `attribute` in the rows of the tenants, each once; [] where there is none.

        None where only the instances of a class have it, or what the filter asks for; where it is no column of text;
        and where there are more than 10,000 values. Raises as iterating does.
        """
        asked = await self._ask()
        column = find_column(asked.entity, attribute)
        if column is None:
            return None if _may_have(asked.entity, attribute) else []
        exact = _exact(column, self._reader.dialect)
        if exact is None or any(_may_have(asked.entity, name) for name, _, _ in asked.checks):
            return None
        statement = select(exact).select_from(asked.entity).where(*asked.conditions).distinct().limit(VALUES + 1)
        rows = await _rows(self._reader, self._name, statement, 0)
        return None if len(rows) > VALUES else [value for (value,) in rows]

    async def _open(self) -> _Reading:
        """Begin a reading."""
        asked = await self._ask()
        try:
            order = _order(asked.entity, self._key)
        except UnknownColumn as error:
            raise UnknownColumn(f"tenant source {self._name}: {error}; expected the column that holds the id") from None
        selector = Selector(self._key, self._name, asked.checks)
        return _Reading(self._reader, self._name, select(asked.entity).where(*asked.conditions), order, selector)

    async def _ask(self) -> _Asked:
        """Find out what the table has, and write the filter for it."""
        try:
            entry = await self._reader.entry(self._table)
        except PinstripeError:
            raise
        except Exception as error:
            raise _failure(self._name, error, 0) from error
        entity = entry.entity
        conditions: list[ColumnElement[bool]] = []
        checks: list[Check] = []
        for lookup, optional in self._lookups:
            if optional and find_column(entity, lookup.attribute) is None:
                # A class may have it all the same: as a property that only Python knows.
                checks.append((lookup.attribute, Checks(lookup), True))
            else:
                conditions.append(condition(lookup, column_of(entity, lookup.attribute), self._reader.dialect))
        return _Asked(entity, conditions, checks)


class _Asked(NamedTuple):
    """What is asked of a table or a mapped class: the filter as SQL, and `checks` of what only Python knows."""

    entity: Any
    conditions: list[ColumnElement[bool]]
    checks: list[Check]


class _Reading:
    """One reading of a table: of pages, each after the last row of the one before, or of tenants by their ids."""

    def __init__(self, reader: Reader, name: str, statement: Select[Any], order: _Order, selector: Selector) -> None:
        """Take the source's `name` for messages, and what selects the rows, orders them, and makes them tenants."""
        self._reader = reader
        self._name = name
        self._statement = statement
        self._order = order
        self._key = order.columns[0]
        self._selector = selector

    async def pages(self, size: int) -> AsyncGenerator[list[Tenant], None]:
        """Read the tenants in the order of their ids."""
        if not (self._order.unique and isinstance(self._key.type, Integer)):
            # Rows without an id are of no tenant. No page would come to them, and SQLite has them even in primary keys.
            self._tenants(await self._rows(self._statement.where(self._key.is_(None)).limit(size)))
        statement = self._statement.where(self._key.is_not(None)).order_by(*self._order.columns)
        following = statement
        while True:
            rows = await self._rows(following.limit(size))
            full = len(rows) == size
            if full and not self._order.unique:
                rows = await self._whole(rows)
            found: list[Tenant] = []
            unfit = self._selector.select(rows, found)
            if found:
                yield found
            self._raise_for(unfit)
            if not full:
                return
            following = statement.where(self._after(rows[-1]))

    async def find(self, ids: list[str], found: dict[str, Tenant]) -> None:
        """Add to `found` the tenants with these ids."""
        statement = self._statement.order_by(*self._order.columns)
        among = _among(self._key, ids, self._reader.dialect)
        # A key of a kind that can't be an id is of no tenant: any one row tells.
        rows = await self._rows(statement.limit(1) if among is None else statement.where(among))
        wanted = set(ids)
        for tenant in self._tenants(rows):
            if tenant.id in wanted:
                found.setdefault(tenant.id, tenant)

    def _tenants(self, rows: list[Any]) -> list[Tenant]:
        found: list[Tenant] = []
        self._raise_for(self._selector.select(rows, found))
        return found

    def _raise_for(self, error: Exception | None) -> None:
        if isinstance(error, PinstripeError):
            raise error
        if error is not None:
            raise _failure(self._name, error, self._selector.count) from error

    async def _rows(self, statement: Select[Any]) -> list[Any]:
        """Read rows as what a tenant's attributes come from: instances of a class, or mappings of columns."""
        rows = await _rows(self._reader, self._name, statement, self._selector.count)
        names = self._order.table_columns
        return rows if names is None else [dict(zip(names, row, strict=True)) for row in rows]

    def _after(self, item: Any) -> ColumnElement[bool]:
        """Say of a row that it comes after the one that was read as `item`."""
        columns, values = self._order.columns, self._order.values(item)
        return self._key > values[0] if len(columns) == 1 else tuple_(*columns) > tuple_(*values)

    async def _whole(self, rows: list[Any]) -> list[Any]:
        """Give all rows with the key of the last one, after the others: without a primary key they have no order."""
        name = self._order.names[0]
        same = await self._rows(self._statement.where(self._key == self._order.values(rows[-1])[0]))
        return [row for row in rows if row[name] != rows[-1][name]] + same


async def _rows(reader: Reader, name: str, statement: Select[Any], count: int) -> list[Any]:
    """Read rows; raises `TenantSourceFailed` that tells the source's `name`, and after how many rows it failed."""
    try:
        return await reader.rows(statement)
    except PinstripeError:
        raise
    except Exception as error:
        raise _failure(name, error, count) from error


class _Order(NamedTuple):
    """What the rows are ordered by, the key first; `unique` where that tells any two of them apart.

    `names` are the columns' names in an item, and `table_columns` the names of all columns of a table; None of a class,
    whose instances are the items.
    """

    columns: list[ColumnElement[Any]]
    names: list[str]
    unique: bool
    table_columns: list[str] | None

    def values(self, item: Any) -> list[ColumnElement[Any]]:
        """Give an item's own values of the columns."""
        found = [getattr(item, name) if self.table_columns is None else item[name] for name in self.names]
        return [literal(value, column.type) for value, column in zip(found, self.columns, strict=True)]


def _order(entity: Any, key: str) -> _Order:
    """Order by the column `key`, and by the primary key where that is another one; raises `UnknownColumn`."""
    if isinstance(entity, Table):
        primary = [str(column.key) for column in entity.primary_key.columns]
        table_columns = list(entity.columns.keys())
    else:
        mapper: Mapper[Any] = inspect(entity)
        primary = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        table_columns = None
    names = [key, *(name for name in primary if name != key)]
    return _Order([column_of(entity, name) for name in names], names, bool(primary), table_columns)


def _may_have(entity: Any, attribute: str) -> bool:
    """Tell whether what a row is read as may have an attribute that is no column: the instance of a class may."""
    return not isinstance(entity, Table) and hasattr(entity, attribute)


def _exact(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any] | None:
    """Give what tells the texts of a column apart as Python does, whatever its collation; None where it has no text."""
    kind = kept_type(plain_type(column.type, dialect))
    if isinstance(kind, Enum):
        return column
    if not isinstance(kind, String) and not (isinstance(kind, NullType) and dialect == "sqlite"):
        return None
    return type_coerce(by_code_point("lt", type_coerce(column, kind), kind, dialect), column.type)


def _among(key: ColumnElement[Any], ids: list[str], dialect: str) -> ColumnElement[bool] | None:
    """Say that `key`, as text, is one of `ids`; None where it is of a kind that can't be an id."""
    kind = plain_type(key.type, dialect)
    if isinstance(kind, NullType) and dialect == "postgresql":
        return cast(key, Text).in_(ids)
    python = python_type(kind)
    values: list[list[Any]] = []
    if isinstance(kind, Enum):
        members = kind.enums if kind.enum_class is None else list(kind.enum_class)
        if all(isinstance(member, str) for member in members):
            values.append([member for member in members if str.__str__(member) in ids])
    else:
        if python is str or isinstance(kind, NullType):
            values.append(ids)
        if isinstance(kind, NullType):
            values.append(_canonical(int, ids))
        if python in (int, UUID):
            values.append(_canonical(python, ids))
    conditions = [condition(Lookup("id", "", tuple(some), several=True), key, dialect) for some in values]
    return or_(*conditions) if conditions else None


def _canonical(kind: Callable[[str], Any], ids: list[str]) -> list[Any]:
    """Read those of the ids that are such a value, written as it is written as an id: 1 is "1" and never "01"."""
    found = []
    for one in ids:
        try:
            value = kind(one)
        except ValueError:
            continue
        if str(value) == one:
            found.append(value)
    return found


def _failure(name: str, error: Exception, count: int) -> TenantSourceFailed:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    where = f" after {count:,} items" if count else ""
    told = hide_passwords(str(reason(cause)))
    return TenantSourceFailed(f"tenant source {name} failed{where}: {type(cause).__name__}: {told}")

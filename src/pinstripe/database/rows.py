"""The rows of a table: all that the workspace's tenant has, or those that `where` leaves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, Self, TypeVar, cast

from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.roles import OrderByRole

from pinstripe.database import queries, writing
from pinstripe.database.expressions import clause_of, is_expression
from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from pinstripe.database.queries import Chosen
    from pinstripe.database.session import Begin, ScopedSession

R = TypeVar("R")
T = TypeVar("T")

PAGE = 1_000
"""How many rows `async for` reads at once."""


class Operations(Protocol):
    """What carries out operations: a workspace's database."""

    async def operate(self, work: Callable[[ScopedSession], T], begins: Begin) -> T:
        """Do `work` in the open transaction, or in one of its own that begins in SQLite as `begins` says."""
        ...


class Rows(Generic[R]):
    """Rows of one table: all that the workspace reaches, or those that `where` leaves. It is immutable.

    `await database.users.where(subscribed=True).order_by("name").limit(10).all()`. Nothing is read before one of `all`,
    `first`, `count`, `exists` or `async for`. Rows are instances of the author's mapped class; of a table without one
    they are SQLAlchemy's `Row`s. Each operation is a transaction of its own, unless it stands in a
    `database.transaction()`, and holds no connection afterwards.

    Besides what each says, operations raise `UnknownTable`; `UnknownColumn` and `ConfigurationError` for what can't be
    asked; `IsolationError` for what can't be kept to the tenant; `TenantRequired` for a tenant's table in a workspace
    without one; `WorkspaceClosed`; `DatabaseUnavailable`; and SQLAlchemy's own errors, as `IntegrityError`.
    """

    __slots__ = ("_chosen", "_operations")

    def __init__(self, operations: Operations, chosen: Chosen) -> None:
        """Take what carries out operations, and which rows are meant."""
        self._operations = operations
        self._chosen = chosen

    def where(self, *tests: ColumnElement[bool], **lookups: object) -> Self:
        """Leave only rows for which every one of these holds.

        `lookups` are columns, alone (equal) or with one of the suffixes `__ne`, `__lt`, `__gt`, `__le`, `__ge`,
        `__begins_with`, `__ends_with`, `__contains`, with the meaning that they have for tenants: a list is "any of",
        None is "is null", text is compared by case. A relationship is asked as `user__name="…"` or
        `user={"name": "…"}`. `tests` are SQLAlchemy's own expressions, as `User.name.ilike("a%")`. Raises
        `ConfigurationError` for what is no expression.
        """
        for test in tests:
            if not isinstance(clause_of(test), ColumnElement):
                message = (
                    f"where(…): expected an expression such as User.name == 'x', or a lookup such as name='x'; got "
                    f"{test!r} ({type(test).__name__})"
                )
                raise ConfigurationError(message)
        for name, value in lookups.items():
            some = value if isinstance(value, list | tuple | set | frozenset) else [value]
            if any(map(is_expression, some)):
                message = f"where({name}=…): expected a value, got an expression; give it as where(User.{name} == …)"
                raise ConfigurationError(message)
        chosen = self._chosen
        return self._with(chosen._replace(tests=(*chosen.tests, *tests), lookups=(*chosen.lookups, *lookups.items())))

    def order_by(self, *columns: Any) -> Self:
        """Order by these columns, given by name (`"name"`, `"-name"` for descending) or as SQLAlchemy's expressions.

        They come after those of an earlier `order_by`. Raises `ConfigurationError` for anything else.
        """
        for column in columns:
            if not isinstance(clause_of(column), str | OrderByRole):
                message = f"order_by(…): expected a column's name or an expression, got {column!r}"
                raise ConfigurationError(message)
        return self._with(self._chosen._replace(order=(*self._chosen.order, *columns)))

    def limit(self, count: int) -> Self:
        """Leave at most `count` rows. Raises `ConfigurationError` for what isn't a whole number of at least 0."""
        if type(count) is not int or count < 0:
            message = f"limit(…): expected a whole number of at least 0, got {count!r}"
            raise ConfigurationError(message)
        limit = count if self._chosen.limit is None else min(count, self._chosen.limit)
        return self._with(self._chosen._replace(limit=limit))

    async def all(self) -> list[R]:
        """Read the rows."""
        return cast("list[R]", await self._read(partial(queries.read, chosen=self._chosen)))

    async def first(self) -> R | None:
        """Read the first row, by `order_by` and then by primary key; None where there is none."""
        found = await self._read(partial(queries.first, chosen=self._chosen))
        return cast("R | None", found[0] if found else None)

    async def count(self) -> int:
        """Count the rows."""
        return await self._read(partial(queries.count, chosen=self._chosen))

    async def exists(self) -> bool:
        """Tell whether there is such a row."""
        return await self._read(partial(queries.any_exists, chosen=self._chosen))

    async def insert(self, **values: Any) -> R:
        """Insert a row with these values, and give it; its tenant is set by itself.

        Raises `IsolationError` where the values name another tenant. What `where` said doesn't count here.
        """
        return cast("R", await self._write(partial(writing.insert_row, key=self._chosen.key, values=values)))

    async def insert_many(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert many rows, each a mapping of columns to values, as one transaction; give how many.

        Their tenant is set by itself; raises `IsolationError` where one names another.
        """
        return await self._write(partial(writing.insert_rows, key=self._chosen.key, rows=rows))

    async def update(self, **values: Any) -> int:
        """Set these columns in every such row; give how many rows there were.

        Raises `IsolationError` for the tenant's column: a row stays with its tenant.
        """
        return await self._write(partial(writing.update_rows, chosen=self._chosen, values=values))

    async def delete(self) -> int:
        """Delete every such row; give how many there were."""
        return await self._write(partial(writing.delete_rows, chosen=self._chosen))

    async def pages(self, size: int = PAGE) -> AsyncGenerator[list[R], None]:
        """Read the rows in lists of at most `size`, by primary key; no connection is held between them.

        Raises `ConfigurationError` after an `order_by`, and for a table without a primary key.
        """
        chosen = self._chosen
        if chosen.order:
            message = "rows are read in pages by primary key; leave order_by out, or use all()"
            raise ConfigurationError(message)
        if type(size) is not int or size < 1:
            message = f"pages(…): expected a size of at least 1, got {size!r}"
            raise ConfigurationError(message)
        left = chosen.limit
        after: tuple[Any, ...] | None = None
        while left is None or left > 0:
            some = size if left is None else min(size, left)
            rows, after = await self._read(partial(queries.page, chosen=chosen, after=after, size=some))
            if left is not None:
                left -= len(rows)
            if rows:
                yield rows
            if after is None:
                return

    async def __aiter__(self) -> AsyncGenerator[R, None]:
        """Read the rows one after another, in pages by primary key; raises as `pages`."""
        async for page in self.pages():
            for row in page:
                yield row

    if not TYPE_CHECKING:  # a type checker refuses both by itself, and better so

        def __await__(self) -> NoReturn:
            """Refuse: say what is to be awaited."""
            message = f"{self!r}: expected an operation to await, as `await ….all()` or `async for row in …`"
            raise ConfigurationError(message)

        def __bool__(self) -> NoReturn:
            """Refuse: nobody knows yet whether there are any."""
            message = f"{self!r}: whether there are any rows isn't known yet; expected `await ….exists()`"
            raise ConfigurationError(message)

    def __repr__(self) -> str:
        """Show the table, without any value."""
        key = self._chosen.key
        return f"Rows({key if isinstance(key, str) else key.__name__})"

    def _with(self, chosen: Chosen) -> Self:
        return type(self)(self._operations, chosen)

    async def _read(self, work: Callable[[ScopedSession], T]) -> T:
        return await self._operations.operate(work, "nothing")

    async def _write(self, work: Callable[[ScopedSession], T]) -> T:
        return await self._operations.operate(work, "immediate")

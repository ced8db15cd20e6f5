"""The application's database as one tenant may see it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from newsletter.edition import Edition
from newsletter.models import Account, Article, Delivery, Issue, Plan, Row, Session, User
from newsletter.store import Store, Value

R = TypeVar("R", bound=Row)

COMPARISONS = {"": "=", "ne": "<>", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
"""What may follow a column's name in `where`, after two underscores, and what it is in SQL."""


class OutsideTenant(PermissionError):
    """Rows were asked for that belong to tenants, without a tenant or for another one."""


class Database:
    """The tables, scoped to one tenant: every statement has its `tenant_id`, and nobody can leave it out.

    Without a tenant only the shared tables `plans` and `tenants` can be reached. A database ends with its workspace:
    rows that were kept for longer can't reach it any more.
    """

    def __init__(self, store: Store, tenant: str | None) -> None:
        """Take the `store` to read and write, and the `tenant`'s id, or None."""
        self.tenant = tenant
        self._store: Store | None = store
        self._editions: dict[str, Edition] = {}

    @property
    def store(self) -> Store:
        """The store below. Raises `RuntimeError` when the workspace has been closed."""
        if self._store is None:
            message = (
                "this database was closed with its workspace; read the rows again in the workspace that needs them"
            )
            raise RuntimeError(message)
        return self._store

    @property
    def users(self) -> Rows[User]:
        """The tenant's users."""
        return Rows(self, User)

    @property
    def issues(self) -> Rows[Issue]:
        """The tenant's newsletters."""
        return Rows(self, Issue)

    @property
    def articles(self) -> Rows[Article]:
        """The pieces in the tenant's newsletters."""
        return Rows(self, Article)

    @property
    def deliveries(self) -> Rows[Delivery]:
        """Which issue was sent to which of the tenant's users."""
        return Rows(self, Delivery)

    @property
    def sessions(self) -> Rows[Session]:
        """Which of the tenant's users are signed in."""
        return Rows(self, Session)

    @property
    def plans(self) -> Rows[Plan]:
        """What tenants can pay for; shared by all."""
        return Rows(self, Plan)

    @property
    def tenants(self) -> Rows[Account]:
        """All tenants; shared by all."""
        return Rows(self, Account)

    async def edition(self, segment: str) -> Edition:
        """Give the newest issue of `segment`, ready for sending. Raises `NothingPublished`."""
        if segment not in self._editions:
            self._editions[segment] = await Edition.newest(self, segment)
        return self._editions[segment]

    def close(self) -> None:
        """End it; the store stays open for others."""
        self._store = None


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """Rows of one table: all that the tenant has, or those that `where` leaves. It is immutable."""

    database: Database
    model: type[R]
    tests: tuple[tuple[str, str, Value], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a tenant's table where there is no tenant. Raises `OutsideTenant`."""
        if not self.model.shared and self.database.tenant is None:
            message = (
                f"{self.model.table} belong to tenants, and this workspace has none; set multi_tenant = True in the job"
            )
            raise OutsideTenant(message)

    def where(self, **lookups: Value) -> Self:
        """Leave only rows for which every lookup holds: `where(subscribed=True, joined_at__lt="2026")`.

        Raises `LookupError` on a column that the table doesn't have, or a comparison that there isn't.
        """
        tests = []
        for lookup, value in lookups.items():
            column, _, comparison = lookup.partition("__")
            if comparison not in COMPARISONS:
                message = f"expected one of {', '.join(filter(None, COMPARISONS))} after {column}__, got {comparison!r}"
                raise LookupError(message)
            tests.append((self._column(column), comparison, value))
        return dataclasses.replace(self, tests=(*self.tests, *tests))

    async def all(self) -> list[R]:
        """Read the rows, in the order of their keys."""
        names = [field.name for field in dataclasses.fields(self.model)][1:]  # the first is the database
        condition, parameters = self._condition()
        sql = f"select {', '.join(names)} from {self.model.table} where {condition} order by 1"  # noqa: S608 - own names
        return [self.model(self.database, *row) for row in await self.database.store.read(sql, parameters)]

    async def count(self) -> int:
        """Count the rows."""
        condition, parameters = self._condition()
        sql = f"select count(*) from {self.model.table} where {condition}"  # noqa: S608 - own names
        [row] = await self.database.store.read(sql, parameters)
        return int(row[0])

    async def insert(self, **values: Value) -> None:
        """Insert a row of `values`, along with what `where` said to be equal."""
        row = {column: value for column, comparison, value in self.tests if comparison == ""}
        row.update({self._column(column): value for column, value in values.items()})
        if not self.model.shared:
            row["tenant_id"] = self.database.tenant
        places = ", ".join("?" * len(row))
        sql = f"insert into {self.model.table} ({', '.join(row)}) values ({places})"  # noqa: S608 - own names
        await self.database.store.write(sql, list(row.values()))

    async def update(self, **values: Value) -> int:
        """Change the rows to have `values`; give how many there were."""
        changes = ", ".join(f"{self._column(column)} = ?" for column in values)
        condition, parameters = self._condition()
        sql = f"update {self.model.table} set {changes} where {condition}"  # noqa: S608 - own names
        return await self.database.store.write(sql, [*values.values(), *parameters])

    async def delete(self) -> int:
        """Delete the rows; give how many there were."""
        condition, parameters = self._condition()
        return await self.database.store.write(f"delete from {self.model.table} where {condition}", parameters)  # noqa: S608

    def _column(self, name: str) -> str:
        """Give `name` if the model has that column: what comes from outside never becomes SQL."""
        columns = [field.name for field in dataclasses.fields(self.model)][1:]
        if name not in columns:
            message = f"expected a column of {self.model.table} ({', '.join(columns)}), got {name!r}"
            raise LookupError(message)
        return name

    def _condition(self) -> tuple[str, list[Value]]:
        scope: list[Any] = [] if self.model.shared else [self.database.tenant]
        parts = ["true"] if self.model.shared else ["tenant_id = ?"]
        parts += [f"{column} {COMPARISONS[comparison]} ?" for column, comparison, _ in self.tests]
        return " and ".join(parts), [*scope, *(value for _, _, value in self.tests)]

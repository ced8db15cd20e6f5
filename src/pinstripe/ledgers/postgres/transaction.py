"""A transaction of the ledger, in which its named statements are executed: on its own connection, or on a caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.ledgers.statements import Statements


def columns(rows: Iterable[Sequence[Any]], many: int = 0) -> list[list[Any]]:
    """Give rows column by column, for `unnest`; of none, so `many` empty ones."""
    return [[*column] for column in zip(*rows, strict=True)] or [[] for _ in range(many)]


class Connection(Protocol):
    """What a transaction needs of a connection; asyncpg's have it. Parameters are `$1`, `$2` and so on."""

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        """Execute one statement; give its rows, which are unpacked as tuples are."""
        ...

    async def execute(self, query: str, *values: Any) -> str:
        """Execute one statement; give PostgreSQL's word for what it did, such as `UPDATE 3`."""
        ...


class Transaction:
    """A transaction that has begun; whoever made it ends it.

    `again` says that the request is repeated since nobody knows whether it was committed the first time.
    """

    def __init__(self, connection: Connection, statements: Statements, *, again: bool = False) -> None:
        """Work on a `connection` that is in a transaction."""
        self.connection = connection
        self.again = again
        self.has_snapshot = False
        """Whether it sees all as it was when it began: then how far the queue is must be asked elsewhere."""
        self._statements = statements

    async def rows(self, name: str, *values: Any) -> Sequence[Any]:
        """Give the rows of a statement."""
        return await self.connection.fetch(self._statements(name), *values)

    async def row(self, name: str, *values: Any) -> Any:
        """Give the first row of a statement; None where it has none."""
        rows = await self.rows(name, *values)
        return rows[0] if rows else None

    async def value(self, name: str, *values: Any) -> Any:
        """Give the first value of the first row of a statement; None where it has none."""
        rows = await self.rows(name, *values)
        return rows[0][0] if rows else None

    async def run(self, name: str, *values: Any) -> int:
        """Execute a statement; give how many rows it wrote."""
        said = await self.connection.execute(self._statements(name), *values)
        return int(said.rpartition(" ")[2])

"""Workers on PostgreSQL, each a process of its own: the moves on queues take them for their ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledgers.postgres.admission import Admission
from pinstripe.ledgers.postgres.queue import PostgresQueue
from tests.ledgers.stores import NO_PROCESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Connection, Transaction
    from tests.ledgers.postgres.conftest import Database


class Worker(NamedTuple):
    """A process that works. `queue` is its queue, typed as what the moves on queues want beside it."""

    process: Store
    queue: Any

    @property
    def ledger(self) -> Any:
        """This, for whoever wants a ledger and uses its queue only."""
        return self

    @property
    def owner(self) -> int:
        """The number of its row."""
        return self.process.ours().id or 0

    def admission(self, tx: Transaction) -> Admission:
        """Give an admission in a transaction of it."""
        return Admission(tx, self.process.engine, self.process.clock.now())


async def join(process: Store) -> Worker:
    """Let a process work."""
    queue = PostgresQueue(process)
    await queue.join(10)
    return Worker(process, queue)


def kill(database: Database, worker: Worker) -> None:
    """Let its process have ended."""
    database.fetch(f"update owners set pid = {NO_PROCESS} where id = {worker.owner}")


class Counted:
    """A connection whose round trips are counted."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.many = 0

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        self.many += 1
        return await self.connection.fetch(query, *values)

    async def execute(self, query: str, *values: Any) -> str:
        self.many += 1
        return await self.connection.execute(query, *values)

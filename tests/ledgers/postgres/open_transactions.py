"""Transactions that a test keeps open while another one begins."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction


class Undone(Exception):
    """What the request of a transaction raises that is to be undone."""


@asynccontextmanager
async def kept_open(
    store: Store, request: Callable[[Transaction], Awaitable[object]], *, undone: bool = False
) -> AsyncIterator[None]:
    """Have done what `request` does, and end that transaction only after what happens meanwhile.

    The server ends one that stands still for a quarter of its owner's lease: who waits for it in vain fails by that.
    """
    done, goes_on = asyncio.Event(), asyncio.Event()

    async def wait(tx: Transaction) -> None:
        assert not done.is_set(), "what happened meanwhile has waited for this transaction"
        await request(tx)
        done.set()
        await goes_on.wait()
        if undone:
            raise Undone

    writing = asyncio.create_task(store.write(wait))
    first = asyncio.create_task(done.wait())
    await asyncio.wait([writing, first], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        goes_on.set()
        await asyncio.wait([writing, first])
    error = writing.exception()
    if error is not None and not isinstance(error, Undone):
        raise error


class Fetches(Protocol):
    """What looks by hand into the database of the tests' ledgers."""

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement; give its rows."""
        ...


async def waits(database: Fetches, *tasks: asyncio.Task[Any]) -> None:
    """Wait until the transactions of these tasks wait for others."""
    while True:
        found = database.fetch(
            "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        if len(found) >= len(tasks):
            return
        for task in tasks:
            assert not task.done(), task
        await asyncio.sleep(0)

"""Transactions that a test keeps open while another one begins."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database


class Undone(Exception):
    """What the request of a transaction raises that is to be undone."""


@asynccontextmanager
async def kept_open(
    store: Store, request: Callable[[Transaction], Awaitable[object]], *, undone: bool = False
) -> AsyncIterator[None]:
    """Have done what `request` does, and end that transaction only after what happens meanwhile."""
    done, goes_on = asyncio.Event(), asyncio.Event()

    async def wait(tx: Transaction) -> None:
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


async def waits(database: Database, *tasks: asyncio.Task[Any]) -> None:
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

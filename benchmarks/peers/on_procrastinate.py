"""Procrastinate on PostgreSQL by psycopg, its tables as it makes them."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from procrastinate import App, PsycopgConnector

from benchmarks.evidence import note
from benchmarks.peers.client import Client, main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCHMARK_URL"], max_size=20))


@app.task(name="stamp")  # type: ignore[untyped-decorator,unused-ignore]
async def stamp(number: int) -> None:
    """Leave behind that it began."""
    note(number)


@asynccontextmanager
async def connect() -> AsyncIterator[Client]:
    """Connect once."""

    async def one(number: int) -> None:
        await stamp.defer_async(number=number)

    async def many(numbers: Sequence[int]) -> None:
        await stamp.batch_defer_async(*({"number": number} for number in numbers))

    async with app.open_async():
        yield Client(one, many)


if __name__ == "__main__":
    main(connect)

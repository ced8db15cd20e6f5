"""PgQueuer on PostgreSQL by asyncpg, its tables durable as it makes them by default."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from benchmarks.evidence import note
from benchmarks.peers.client import Client, main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@asynccontextmanager
async def connect() -> AsyncIterator[Client]:
    """Connect once."""
    connection = await asyncpg.connect(os.environ["BENCHMARK_URL"])
    queries = Queries(AsyncpgDriver(connection))

    async def one(number: int) -> None:
        await queries.enqueue("stamp", b"%d" % number)

    async def many(numbers: Sequence[int]) -> None:
        payloads: list[bytes | None] = [b"%d" % number for number in numbers]
        await queries.enqueue(["stamp"] * len(payloads), payloads, [0] * len(payloads))

    try:
        yield Client(one, many)
    finally:
        await connection.close()


@asynccontextmanager
async def worker() -> AsyncIterator[Any]:
    """Give what `pgq run` works with."""
    connection = await asyncpg.connect(os.environ["BENCHMARK_URL"])
    queue = PgQueuer(AsyncpgDriver(connection))

    async def stamp(job: Any) -> None:
        note(int(job.payload))

    queue.entrypoint("stamp")(stamp)
    try:
        yield queue
    finally:
        await connection.close()


if __name__ == "__main__":
    main(connect)

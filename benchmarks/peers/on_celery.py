"""Celery with its broker in Redis: no results, and as many messages ahead of each process as made it quickest."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from celery import Celery, group

from benchmarks.evidence import note
from benchmarks.peers.client import Client, main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

app = Celery("benchmark", broker=os.environ["BENCHMARK_URL"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True)
stamp = app.task(name="stamp")(note)


@asynccontextmanager
async def connect() -> AsyncIterator[Client]:
    """Give the client; Celery connects by itself, and its calls are plain ones."""

    async def one(number: int) -> None:
        stamp.delay(number)

    async def many(numbers: Sequence[int]) -> None:
        group(stamp.s(number) for number in numbers).apply_async()

    yield Client(one, many)


if __name__ == "__main__":
    main(connect)

"""Pinstripe in the same part, with its default settings."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pinstripe
from benchmarks.peers.client import Client, main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@asynccontextmanager
async def connect() -> AsyncIterator[Client]:
    """Open the project and its global workspace."""
    folder = os.environ["BENCHMARK_FOLDER"]
    async with pinstripe.open_project(folder) as project, project.workspace(tenant=None) as workspace:

        async def one(number: int) -> None:
            await workspace.enqueue_background_job("stamp", number)

        async def many(numbers: Sequence[int]) -> None:
            await workspace.enqueue_background_jobs("stamp", [(number,) for number in numbers])

        async def fan_out() -> None:
            await workspace.enqueue_background_job("stamp_each")

        yield Client(one, many, fan_out)


if __name__ == "__main__":
    main(connect)

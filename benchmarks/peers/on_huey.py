"""Huey with its queue in an SQLite file: its own defaults, without results."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from huey import SqliteHuey

from benchmarks.evidence import note
from benchmarks.peers.client import Client, main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

huey = SqliteHuey("benchmark", filename=str(Path(os.environ["BENCHMARK_FOLDER"]) / "huey.db"), results=False)
stamp = huey.task(name="stamp")(note)


@asynccontextmanager
async def connect() -> AsyncIterator[Client]:
    """Give the client; Huey connects by itself, and its calls are plain ones."""

    async def one(number: int) -> None:
        stamp(number)

    yield Client(one)


if __name__ == "__main__":
    main(connect)

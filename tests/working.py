"""What tests of workers share: a shop whose clock is told the time, enqueueing, and workers that work for a test."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pinstripe.background_job import BackgroundJob
from pinstripe.config import load_settings
from pinstripe.options import Terms
from pinstripe.project import Project
from pinstripe.runs import Request
from pinstripe.selection import Selection
from tests.ledgers.conftest import HandClock
from tests.shop import FOUR, TENANCY, Recorder, Shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pinstripe.run import Run
    from pinstripe.worker import Worker
    from tests.conftest import ProjectFolder


@asynccontextmanager
async def told_shop(
    folder: ProjectFolder, items: Sequence[object] = FOUR, *, settings: str = ""
) -> AsyncIterator[tuple[Shop, HandClock]]:
    """Open a project whose tenants are `items`, and whose clock goes on by hand alone."""
    folder.file("tenancy.py", TENANCY)
    folder.configure('tenants.source = "tenancy:tenants"\n' + settings)
    clock = HandClock()
    project = Project(load_settings(folder.path), clock=clock)
    await project.open()
    try:
        assert project.tenants is not None
        shop = Shop(project)
        shop.tenants(items)
        yield shop, clock
    finally:
        await project.close()


async def enqueue(shop: Shop, job: type[BackgroundJob] | str, *args: Any, **options: Any) -> Run:
    """Enqueue a run; what `Selection` and `Terms` take may be given by name."""
    name = job if isinstance(job, str) else shop.add(job)
    chosen = {key: options.pop(key) for key in ("tenants", "exclude", "where", "force") if key in options}
    return await shop.project.enqueue(Request(name, args, selection=Selection(**chosen)), Terms.of(**options))


async def drain(shop: Shop, concurrency: int | None = None, *, watcher: Recorder | None = None) -> Worker:
    """Let a worker do what can be done now; give it."""
    worker = shop.project.worker(concurrency, watcher=watcher or Recorder())
    await worker.work(drain=True)
    return worker


async def seen(shop: Shop, run: Run) -> Run:
    """Give a run as the ledger has it now."""
    return await shop.project.ledger.find_run(run.id)


@asynccontextmanager
async def working(
    shop: Shop, concurrency: int | None = None, *, watcher: Recorder | None = None
) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
    """Let a worker work until the end of the block, where it is stopped at once."""
    worker = shop.project.worker(concurrency, watcher=watcher or Recorder())
    task = asyncio.create_task(worker.work())
    try:
        yield worker, task
    finally:
        await worker.close()
        await task


class Gate:
    """Lets attempts in, tells when so many are inside, and lets all out at once."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most = 0
        self.moved = asyncio.Condition()
        self.open = asyncio.Event()

    async def __call__(self, name: str) -> None:
        async with self.moved:
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            self.moved.notify_all()
        try:
            await self.open.wait()
        finally:
            async with self.moved:
                self.inside.remove(name)
                self.moved.notify_all()

    async def has(self, count: int) -> None:
        """Wait until so many are inside."""
        async with self.moved:
            await self.moved.wait_for(lambda: len(self.inside) == count)


def gated(gate: Gate) -> type[BackgroundJob]:
    """Make a job that goes through the gate."""

    class Gated(BackgroundJob):
        async def run(self, name: str = "") -> str:
            await gate(name)
            return name

    return Gated

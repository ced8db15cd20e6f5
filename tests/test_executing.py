from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from pinstripe.executing import CURRENT, TaskTracker, leaked_threads

if TYPE_CHECKING:
    from pinstripe.capture import Capture
    from pinstripe.redaction import Mask


class Somebody:
    """Stands for an execution, and remembers its tasks."""

    job = "job"
    file: str | None = None
    tenant_id: str | None = None
    capture: Capture | None = None
    mask: Mask | None = None

    def __init__(self) -> None:
        self.tasks: list[asyncio.Future[Any]] = []

    def facts(self) -> dict[str, object]:
        return {}

    def adopt(self, task: asyncio.Future[Any]) -> None:
        self.tasks.append(task)


async def nothing() -> None: ...


@pytest.mark.anyio
async def test_tasks_are_told_to_the_execution_that_starts_them_and_to_nobody_else() -> None:
    loop = asyncio.get_running_loop()
    tracker = TaskTracker(loop)
    tracker.install()
    somebody = Somebody()
    outside = loop.create_task(nothing(), name="outside")
    token = CURRENT.set(somebody)
    inside = loop.create_task(nothing(), name="inside")
    CURRENT.reset(token)
    await asyncio.gather(outside, inside)
    tracker.remove()
    assert somebody.tasks == [inside]
    assert inside.get_name() == "inside"
    assert loop.get_task_factory() is None


@pytest.mark.anyio
async def test_the_applications_own_factory_goes_on_making_the_tasks() -> None:
    loop = asyncio.get_running_loop()
    made: list[object] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        made.append(task)
        return task

    loop.set_task_factory(factory)
    try:
        tracker = TaskTracker(loop)
        tracker.install()
        task = loop.create_task(nothing())
        await task
        assert made == [task]
        tracker.remove()
        assert loop.get_task_factory() is factory

        tracker.install()
        loop.set_task_factory(None)  # somebody else takes over
        tracker.remove()
        assert loop.get_task_factory() is None
    finally:
        loop.set_task_factory(None)


def test_threads_that_keep_the_process_from_ending_are_listed() -> None:
    may_end = threading.Event()
    started = threading.Event()

    def busy() -> None:
        started.set()
        may_end.wait()

    leaked = threading.Thread(target=may_end.wait, name="leaked")
    daemon = threading.Thread(target=may_end.wait, name="daemon", daemon=True)
    with ThreadPoolExecutor(1, "pool") as pool:
        leaked.start()
        daemon.start()
        pool.submit(busy)
        started.wait()
        try:
            names = [thread.name for thread in leaked_threads()]
        finally:
            may_end.set()
            leaked.join()
            daemon.join()
    assert "leaked" in names
    assert "daemon" not in names
    assert "pool_0" in names


@pytest.mark.anyio
async def test_idle_threads_of_anyio_are_no_leak_and_busy_ones_are() -> None:
    may_end, busy, items = threading.Event(), threading.Event(), queue.Queue[None]()

    def wait() -> None:
        busy.set()
        may_end.wait()

    def wait_for_item() -> None:
        busy.set()
        items.get()

    def leaks() -> list[str]:
        return [thread.name for thread in leaked_threads() if thread.name == "AnyIO worker thread"]

    await anyio.to_thread.run_sync(int)
    while leaks():  # its thread is on the way back to its queue
        await anyio.lowlevel.checkpoint()
    for occupy, release in ((wait, may_end.set), (wait_for_item, lambda: items.put(None))):
        busy.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, occupy)
            await asyncio.to_thread(busy.wait)
            try:
                assert len(leaks()) == 1
            finally:
                release()

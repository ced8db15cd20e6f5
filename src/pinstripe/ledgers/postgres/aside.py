"""An event loop beside the program's own: for what has to be done while that is blocked, from whichever thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Row(asyncpg.Record):  # type: ignore[misc]  # it has no types
    """For connections of a loop of many threads: of its own kind asyncpg keeps some for each thread, beyond its end."""


class Aside:
    """Runs one coroutine at a time, while its caller waits; all of them on one event loop, until that is closed."""

    def __init__(self) -> None:
        """Make no loop yet."""
        self._turn = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._closing = False

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Give what the coroutine gives that `make` makes, once this has its turn; whoever waits is blocked.

        Raises what it raises, and `asyncio.CancelledError` where it is closed meanwhile.
        """
        return _apart(lambda: self._run(make))

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what runs, run the `last` one if any, and close the loop; a later `run` makes one anew. Idempotent."""
        self._closing = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it has ended meanwhile, and somebody else closed the loop
                loop.call_soon_threadsafe(task.cancel)
        _apart(lambda: self._close(last))

    def _run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._turn:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            self._task = task = self._loop.create_task(make())
            if self._closing:
                task.cancel()
            try:
                return self._loop.run_until_complete(task)
            finally:
                self._task = None

    def _close(self, last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        with self._turn:
            self._closing = False
            loop, self._loop = self._loop, None
            if loop is None:
                return
            try:
                if last is not None:
                    loop.run_until_complete(last())
                loop.run_until_complete(_end_others())
            finally:
                loop.close()


async def _end_others() -> None:
    """Cancel what drivers have left to be done, and wait for its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _apart(work: Callable[[], T]) -> T:
    """Do the work in this thread, or where an event loop runs in that, in another one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    done: list[T] = []
    failed: list[BaseException] = []

    def go() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            failed.append(error)

    thread = threading.Thread(target=go, name="pinstripe aside", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]

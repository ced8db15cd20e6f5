"""One process that serves calls, one after the other, and the pool of one that looks after it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pinstripe.outcome import error_text

if TYPE_CHECKING:
    from concurrent.futures import Future

MAX_TASKS = 100
"""How many executions a process serves before it makes room for a new one, so that what leaks has an end."""

EXIT_LIMIT = 5.0
"""How many seconds to wait until a process that was told to go is gone."""


class ChildProcess:
    """A process that is started once. When it is dead it is not replaced, so that nothing it left is done twice."""

    def __init__(self) -> None:
        """Make the pool; nothing is started yet."""
        from pebble import ProcessPool

        self._context = _Once()
        self._pool: Any = ProcessPool(max_workers=1, max_tasks=MAX_TASKS, context=self._context)
        self._lock = threading.Lock()
        self.calls = 0
        """How many calls it was given."""
        self.idle_since = 0.0
        """When its last call has ended, by the event loop's clock."""
        self.ending = False
        """Whether somebody ends it, or has."""

    def start(self) -> str | None:
        """Start the process, which takes a moment; give what kept it from starting, or None."""
        try:
            _ = self._pool.active  # to ask is to start
        except Exception as problem:  # noqa: BLE001 - such as no more processes, memory, threads or open files
            # Told as text, for the exception would keep open what it came through, when there is none to be had.
            obstacle = told(problem)
        else:
            return None
        self.end()
        return obstacle

    @property
    def is_there(self) -> bool:
        """Whether the process, which was started, is alive and takes calls."""
        return bool(self._pool.active and self._context.process.is_alive())

    @property
    def is_worn(self) -> bool:
        """Whether it has served its time, and ends by itself."""
        return self.calls >= MAX_TASKS

    @property
    def exit_code(self) -> int | None:
        """How the process, which was started, has ended: its exit code, or less than 0 for a signal; None as yet."""
        code: int | None = self._context.process.exitcode
        return code

    def schedule(self, address: str, token: str, request: bytes) -> Future[None]:
        """Let the process execute a request; raises `RuntimeError` where the pool knows that it is dead."""
        from importlib import import_module

        # It stands above this module, with the project that it opens, and is found by its name here as in the child.
        perform = import_module("pinstripe.process_entry").perform
        self.calls += 1
        future: Future[None] = self._pool.schedule(perform, args=(address, token, request))
        return future

    def end(self) -> None:
        """End the process, if there is one, and wait until it is gone: by itself, by SIGTERM or by SIGKILL.

        It may be called again, from any thread.
        """
        with self._lock:
            self._pool.stop()
            if self.is_worn:
                self._context.process.join(EXIT_LIMIT)  # it closes its project, and may have more to do at its exit
            try:
                self._pool.join()
            finally:
                self._context.close()


def told(problem: BaseException) -> str:
    """Write why something couldn't be started; of a pool that broke, that is what has broken it."""
    cause = problem.__cause__
    return error_text(cause if isinstance(cause, OSError) else problem)


class _Once:
    """The context that the pool takes its process from: there is only one, for a second would do the first one's rest.

    What was sent to a process that died before it read it is still in the pipe.
    """

    def __init__(self) -> None:
        from multiprocessing import get_context

        self._spawn = get_context("spawn")
        self.process: Any = None
        self._ends: list[Any] = []
        self.RLock = self._spawn.RLock
        self.get_start_method = self._spawn.get_start_method

    def Pipe(self, duplex: bool = True) -> tuple[Any, Any]:  # noqa: FBT001, FBT002, N802 - as the pool calls it
        """Make a pipe, and remember it."""
        ends = self._spawn.Pipe(duplex)
        self._ends += ends
        return ends

    def close(self) -> None:
        """Close the pipes: those of a pool that has failed to start would stay open until a garbage collection."""
        for end in self._ends:
            end.close()

    def Process(self, **options: Any) -> Any:  # noqa: N802 - the pool's name for it
        """Make the process; the second time there is none, which breaks the pool."""
        if self.process is not None:
            raise ChildProcessError("the process is gone")
        self.process = self._spawn.Process(**options)
        return self.process

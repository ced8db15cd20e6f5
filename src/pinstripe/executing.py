"""Which execution the running code belongs to, and the tasks and threads that it starts."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.capture import Capture
    from pinstripe.redaction import Mask

_IDLE = (
    (("_worker", "thread.py"),),
    (("wait", "threading.py"), ("get", "queue.py"), ("run", "_asyncio.py")),
)
"""The innermost functions, with their files, of an idle thread: of a `ThreadPoolExecutor`, and of AnyIO."""


class Executing(Protocol):
    """An execution that goes on, as what runs inside it is seen from outside."""

    @property
    def job(self) -> str:
        """The job's name."""
        ...

    @property
    def file(self) -> str | None:
        """The file that the job's class is written in."""
        ...

    @property
    def tenant_id(self) -> str | None:
        """The tenant's id; None in a job that is not multi-tenant."""
        ...

    @property
    def capture(self) -> Capture | None:
        """Where its output goes; None leaves it alone."""
        ...

    @property
    def mask(self) -> Mask | None:
        """What hides what nobody is shown in what it says."""
        ...

    def facts(self) -> dict[str, object]:
        """Give what a log line tells of where it comes from: the job, the run, the tenant, the attempt, the span."""
        ...

    def adopt(self, task: asyncio.Future[Any]) -> None:
        """Remember a task that its code started."""
        ...


CURRENT: ContextVar[Executing | None] = ContextVar("pinstripe_executing", default=None)
"""The execution that the running code belongs to; for log lines, output and warnings only, never to find a tenant."""


class TaskTracker:
    """Tells each execution about the tasks that its code starts, by a task factory on the event loop.

    Executions run in tasks that don't come from the factory, so one that starts no tasks costs nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the `loop`, whose own factory, if it has one, goes on making the tasks."""
        self._loop = loop
        self._former: Callable[..., asyncio.Future[Any]] | None = None

    def install(self) -> None:
        """Put the factory in place."""
        self._former = self._loop.get_task_factory()
        self._loop.set_task_factory(self._make)

    def remove(self) -> None:
        """Put the former factory back, unless another one has been put over this one since."""
        if self._loop.get_task_factory() == self._make:
            self._loop.set_task_factory(self._former)

    def _make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Future[Any]:
        make = self._former
        task = asyncio.Task(coroutine, loop=loop, **options) if make is None else make(loop, coroutine, **options)
        executing = CURRENT.get()
        if executing is not None:
            executing.adopt(task)
        return task


def leaked_threads() -> list[threading.Thread]:
    """List the threads that keep the process from ending: not daemons, and not the idle ones of a pool."""
    frames = sys._current_frames()  # noqa: SLF001 - the documented way to see other threads
    kept = {threading.main_thread(), threading.current_thread()}
    return [
        thread
        for thread in threading.enumerate()
        if thread not in kept and not thread.daemon and not _is_idle(frames.get(thread.ident or 0))
    ]


def _is_idle(frame: Any) -> bool:
    """Tell whether a thread of a pool waits for work: those of Python's and of AnyIO's end with the event loop."""
    if frame is None:
        return True
    innermost: list[tuple[str, str]] = []
    while frame is not None and len(innermost) < max(map(len, _IDLE)):
        innermost.append((frame.f_code.co_name, frame.f_code.co_filename))
        frame = frame.f_back
    return any(
        len(innermost) >= len(idle)
        and all(name == its and file.endswith(end) for (name, file), (its, end) in zip(innermost, idle, strict=False))
        for idle in _IDLE
    )

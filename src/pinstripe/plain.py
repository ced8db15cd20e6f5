"""A project with plain calls: the same one, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pinstripe.errors import PinstripeError
from pinstripe.options import take
from pinstripe.project import UNSET, Project

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from types import TracebackType

    from pinstripe.background_job import BackgroundJob
    from pinstripe.config import Settings
    from pinstripe.options import Call, Options
    from pinstripe.registry import Registry
    from pinstripe.run import Run
    from pinstripe.tenants import Tenant
    from pinstripe.workspace import Workspace

T = TypeVar("T")

TASKS_END_WITHIN = 1.0
"""How many seconds tasks that a job left behind have for being cancelled, before the loop ends without them."""


class PlainProject:
    """An open project whose calls are plain ones; any thread may make them."""

    def __init__(self, settings: Settings) -> None:
        """Take the `settings`; `open` starts the loop."""
        self.settings = settings
        self._project = Project(settings)
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._ended = False
        self._thread = threading.Thread(target=self._serve, name="pinstripe-project", daemon=True)

    @property
    def registry(self) -> Registry:
        """The jobs, by name."""
        return self._project.registry

    def open(self) -> None:
        """Start the event loop and open the project on it."""
        self._thread.start()
        try:
            self.call(self._project.open())
        except BaseException:
            self._end()
            raise

    def close(self, *, prune: bool = True) -> None:
        """Close the project, and end the loop and its thread; a second call does nothing.

        `prune` is as for `Project.close`.
        """
        if self._ended:
            return
        if os.getpid() != self._process:
            return  # a forked child has nothing of its own to close
        try:
            self.call(self._project.close(prune=prune))
        finally:
            self._end()

    def workspace(self, *, tenant: str | None = UNSET) -> PlainWorkspace:
        """Open a workspace for the tenant with this id, by `with`; see `Project.workspace`."""
        return PlainWorkspace(self, self._project, tenant)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the project's loop and wait for it; Ctrl-C here cancels it there."""
        if os.getpid() != self._process:
            coroutine.close()
            message = (
                f"the project was opened by process {self._process}, of which this one is a fork; expected each "
                "process to open it for itself, after the fork"
            )
            raise PinstripeError(message)
        if threading.current_thread() is self._thread or self._ended:
            coroutine.close()
            message = (
                "a plain project's call was made from inside one of its jobs; use `self.run_background_job` there"
                if threading.current_thread() is self._thread
                else "the project is closed"
            )
            raise PinstripeError(message)
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _serve(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            # The rest happens here too: the thread that closes the project may have an event loop of its own.
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=TASKS_END_WITHIN))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _end(self) -> None:
        self._ended = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class PlainWorkspace:
    """A workspace whose calls are plain ones; it is opened by `with`."""

    def __init__(self, owner: PlainProject, project: Project, tenant: str | None) -> None:
        """Take the project and the tenant's id."""
        self._owner = owner
        self._opening = project.workspace(tenant=tenant)
        self._opening.enters_context = False  # what is done in this workspace is done in another thread
        self._workspace: Workspace | None = None

    @property
    def tenant(self) -> Tenant | None:
        """The tenant that everything in this workspace belongs to; None in a global one."""
        return self._open().tenant

    def run_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Run a job here and now and give the finished run; raises as `Workspace.run_background_job` does."""
        return self._owner.call(self._open().run_background_job(job, *args, **kwargs))

    def enqueue_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Leave a job to the workers and give the queued run; raises as `Workspace.enqueue_background_job` does."""
        return self._owner.call(self._open().enqueue_background_job(job, *args, **kwargs))

    def enqueue_background_jobs(self, job: str | type[BackgroundJob], calls: Iterable[Call]) -> list[Run]:
        """Leave many runs of a job to the workers, all or none, as `Workspace.enqueue_background_jobs` does."""
        return self._owner.call(self._open().enqueue_background_jobs(job, take(calls)))

    def options(self, **options: Any) -> PlainOptions:
        """Choose the `tenants`, `exclude` or `where` of one run; an unknown option is a `TypeError`.

        One that is enqueued may have `at` or `delay`, `key`, `priority` and `connection` too; see `Options`.
        """
        chosen = self._open().options(**options)
        if chosen.connection is not None:
            from pinstripe.thread_bound import refuse_awaited  # only where it is given

            refuse_awaited(chosen.connection)
        return PlainOptions(self._owner, chosen)

    def __enter__(self) -> Self:
        """Open it; raises `UnknownTenant`."""
        self._workspace = self._owner.call(self._opening.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Close it."""
        self._owner.call(self._opening.__aexit__(kind, error, frames))

    def _open(self) -> Workspace:
        if self._workspace is None:
            message = "the workspace is not open: use `with project.workspace(tenant=…) as workspace:`"
            raise PinstripeError(message)
        return self._workspace


class PlainOptions:
    """Options whose runs are plain calls."""

    def __init__(self, owner: PlainProject, options: Options) -> None:
        """Take the chosen `options`."""
        self._owner = owner
        self._options = options

    def run_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Run a job with these options; give the finished run."""
        return self._owner.call(self._options.run_background_job(job, *args, **kwargs))

    def enqueue_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Leave a job to the workers with these options; give the queued run."""
        return self._owner.call(self._options.enqueue_background_job(job, *args, **kwargs))

    def enqueue_background_jobs(self, job: str | type[BackgroundJob], calls: Iterable[Call]) -> list[Run]:
        """Leave many runs of a job to the workers, each with these options; give the queued runs in order."""
        return self._owner.call(self._options.enqueue_background_jobs(job, take(calls)))

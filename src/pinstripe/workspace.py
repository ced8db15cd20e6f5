"""The isolated context in which one attempt happens: a tenant, services, a logger; closed at its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from dataclasses import fields
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from pinstripe.errors import ConfigurationError, TenantRequired, WorkspaceClosed
from pinstripe.executing import CURRENT
from pinstripe.options import Options, take
from pinstripe.service_stack import ServiceStack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from pinstripe.background_job import BackgroundJob
    from pinstripe.database.service import Database
    from pinstripe.errors import PinstripeError
    from pinstripe.options import Call
    from pinstripe.run import Run
    from pinstripe.service_stack import Context
    from pinstripe.services import ServiceDefinition
    from pinstripe.tenants import Tenant

T = TypeVar("T")


class Databases(Protocol):
    """What opens the application's database for workspaces."""

    def open(self, workspace: Workspace) -> tuple[Database, Callable[[BaseException | None], Awaitable[None]]]:
        """Make the database of a workspace; give it with what closes it."""
        ...

    def unscoped(self, workspace: Workspace, reason: str) -> AbstractAsyncContextManager[Database]:
        """Open a database that reaches all tenants' rows, and log who does so and why."""
        ...


class Launcher(Protocol):
    """What starts, or enqueues, the runs that are asked for in a workspace."""

    async def launch(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        """Run `job` to its end and give the finished run; raise what `Workspace.run_background_job` promises."""
        ...

    async def enqueue(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        """Enqueue `job` and give the queued run; raise what `Workspace.enqueue_background_job` promises."""
        ...

    async def enqueue_many(
        self, workspace: Workspace, options: Options, job: str | type[BackgroundJob], calls: list[Call]
    ) -> list[Run]:
        """Enqueue a run of `job` for each of the `calls`, all or none; give the queued runs in order."""
        ...


class Workspace:
    """The isolated context in which one attempt happens. Its tenant can't change, and it can't be used once closed.

    It is an async context manager; leaving it closes it.
    """

    __slots__ = (
        "_closed",
        "_databases",
        "_launcher",
        "_progress",
        "_stack",
        "_tenant",
        "_waits",
        "job",
        "loop",
        "run_id",
    )

    def __init__(
        self,
        tenant: Tenant | None,
        launcher: Launcher,
        job: str | None = None,
        run_id: str | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        progress: Callable[[float, float | None], None] | None = None,
        databases: Databases | None = None,
    ) -> None:
        """Fix the `tenant` (None is the explicit global one) and what starts runs.

        `job` and `run_id` say what happens in it, if anything does; `loop` is the event loop of its services, the
        running one by default; `progress` hears of progress, on the loop's thread; `databases` opens the application's
        database, where one is set up.
        """
        self._tenant = tenant
        self._launcher = launcher
        self.job = job
        self.run_id = run_id
        self.loop = loop
        self._progress = progress
        self._databases = databases
        self._closed = False
        self._stack: ServiceStack | None = None
        self._waits: set[concurrent.futures.Future[Any]] | None = None

    @property
    def tenant(self) -> Tenant | None:
        """The tenant that everything in this workspace belongs to; None in a global one."""
        return self._tenant

    def require_tenant(self) -> Tenant:
        """Give the tenant; raises `TenantRequired` where there is none."""
        if self._tenant is None:
            what = f"job {self.job}" if self.job else "this workspace"
            message = f"{what} has no tenant; a job that works for tenants says multi_tenant = True in its class"
            raise TenantRequired(message)
        return self._tenant

    @property
    def logger(self) -> logging.Logger:
        """The logger of the job, `pinstripe.jobs.<job>`, with dots between folders."""
        return logging.getLogger(f"pinstripe.jobs.{self.job.replace('/', '.')}" if self.job else "pinstripe.jobs")

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    @property
    def database(self) -> Database:
        """The application's database, kept to the tenant; made when first asked for, closed with the workspace.

        Raises `WorkspaceClosed`, and `AttributeError` where no database is set up.
        """
        return self.service("database")  # type: ignore[no-any-return]

    def unscoped(self, *, reason: str) -> AbstractAsyncContextManager[Database]:
        """Reach all tenants' rows: `async with workspace.unscoped(reason="…") as database:`. It is logged, with why.

        It is the only way beyond the workspace's tenant. Raises `ConfigurationError` without a reason in words or
        without a database, and `WorkspaceClosed`.
        """
        self.check()
        if self._databases is None:
            message = "expected a database to be set up, by `url` under [tool.pinstripe.database]; there is none"
            raise ConfigurationError(message)
        return self._databases.unscoped(self, reason)

    def options(self, **options: Any) -> Options:
        """Choose the `tenants`, `exclude` or `where` of one run; an unknown option is a `TypeError`.

        One that is enqueued may have `at` or `delay`, `key`, `priority` and `connection` too; see `Options`.
        """
        self.check()
        known = [each.name for each in fields(Options) if each.name != "workspace"]
        unknown = sorted(set(options) - set(known))
        if unknown:
            message = f"unknown option {', '.join(unknown)}; expected one of {', '.join(known)}"
            raise TypeError(message)
        if options.get("connection") is not None:
            from pinstripe.thread_bound import resolve  # only where it is given

            options["connection"] = resolve(options["connection"])
        return Options(self, **options)

    async def run_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Run a job (its name or class) with these arguments here and now; give the finished run.

        A run of one execution raises the job's own exception; one over several tenants raises `TenantFailures` after
        all of them; one that was cancelled raises `RunCancelled`. An unknown job raises `UnknownJob`, arguments that
        don't fit `InvalidArguments`, a closed workspace `WorkspaceClosed`.
        """
        return await self._launch(Options(self), job, args, kwargs)

    async def enqueue_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Write down that a job is to be run by a worker; give the queued run at once.

        What is given is kept: it survives this process, and is executed at least once. From a tenant's workspace a
        multi-tenant job is for that tenant alone. Raises `UnknownJob`, `InvalidJob`, `InvalidArguments`,
        `UnknownTenant`, `ConfigurationError` and `TenantSourceFailed` where nothing was enqueued, `LedgerError`, and
        `WorkspaceClosed`.
        """
        return await self._enqueue(Options(self), job, args, kwargs)

    async def enqueue_background_jobs(self, job: str | type[BackgroundJob], calls: Iterable[Call]) -> list[Run]:
        """Enqueue a run of a job for each of the `calls`, all of them or none; give the queued runs in their order.

        A call is a tuple of arguments by position, or a mapping of named ones; there may be 10,000. What is wrong with
        one is told by its number, from 1. Raises as `enqueue_background_job` does.
        """
        return await self._enqueue_many(Options(self), job, calls)

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await something from a plain `def run` in a thread, on the event loop that the services live on.

        Raises `WorkspaceClosed` when the workspace is closed, or closes while it waits: what it waits for is then
        cancelled. Raises `RuntimeError` on the event loop's own thread, where it could never end.
        """
        loop = self.loop
        problem: Exception | None = None
        if self._closed:
            problem = self._closed_error()
        elif loop is None or _running_loop() is loop:
            problem = RuntimeError("wait() is for a plain def run, which runs in a thread; in async code use await")
        if problem is not None or loop is None:
            if iscoroutine(awaitable):
                awaitable.close()
            raise problem or self._closed_error()
        future = asyncio.run_coroutine_threadsafe(_await(awaitable), loop)
        if self._waits is None:
            self._waits = set()
        waits = self._waits
        waits.add(future)
        if self._closed:  # it was closed by the loop's thread while the future was on its way
            future.cancel()
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._closed:
                raise self._closed_error() from None
            raise asyncio.CancelledError from None
        finally:
            waits.discard(future)

    def progress(self, done: float, total: float | None = None) -> None:
        """Show how far the attempt is: `done` of `total`, in units of the job's own; may be called in a thread."""
        self.check()
        hear, loop = self._progress, self.loop
        if hear is None or loop is None:
            return
        if _running_loop() is loop:
            hear(done, total)
        else:
            loop.call_soon_threadsafe(hear, done, total)

    def service(self, name: str) -> Any:
        """Give an open service by its name; raises `WorkspaceClosed`, or `AttributeError` where it isn't declared."""
        self.check()
        if name == "database" and self._databases is not None and name not in self._services().values:
            self._services().adopt(name, *self._databases.open(self))
        if self._stack is None or name not in self._stack.values:
            if name == "database":
                raise AttributeError(_NO_DATABASE, name=name, obj=self)
            what = f"job {self.job}" if self.job else "this workspace"
            message = (
                f"{what} has no service {name!r}; expected a file lib/services/{name}.py, and in the job's class the "
                f"annotation `{name}: {name.title()}`"
            )
            raise AttributeError(message, name=name, obj=self)
        return self._stack.values[name]

    async def open_service(self, definition: ServiceDefinition) -> Any:
        """Open a service here, in the calling task, from the ones that are already open; once, however often asked."""
        self.check()
        stack = self._services()
        if definition.name in stack.values:
            return stack.values[definition.name]
        return await stack.open(definition, {"tenant": self._tenant, "logger": self.logger, "workspace": self})

    async def enter(self, context: Context) -> None:
        """Enter a context here, in the calling task; it is left when everything opened after it is closed."""
        self.check()
        await self._services().enter(context)

    def lend_service(self, name: str, value: Any) -> None:
        """Offer a service that lives longer than this workspace, which doesn't close it."""
        self.check()
        self._services().values[name] = value

    @property
    def closes(self) -> int:
        """How many services and contexts there are to close."""
        return 0 if self._stack is None else self._stack.closes

    def refuse(self) -> None:
        """Refuse every further use, and cancel what threads wait for; the services stay open for `close`."""
        self._closed = True
        for future in tuple(self._waits or ()):
            future.cancel()

    async def close(self, exception: BaseException | None = None) -> list[PinstripeError]:
        """Refuse every further use, and close the services in reverse order; give what failed to close.

        `exception` is how what happened in it ended.
        """
        self.refuse()
        return [] if self._stack is None else await self._stack.close(exception)

    async def __aenter__(self) -> Self:
        """Enter it."""
        self.check()
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Close it; what failed to close is raised, or noted on the exception that is on its way."""
        problems = await self.close(exception)
        if exception is not None:
            for problem in problems:
                exception.add_note(str(problem))
        elif problems:
            raise problems[0]

    async def _launch(
        self,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        self.check()
        return await _outside(self._launcher.launch(self, options, job, args, kwargs))

    async def _enqueue(
        self,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        self.check()
        return await _outside(self._launcher.enqueue(self, options, job, args, kwargs))

    async def _enqueue_many(self, options: Options, job: str | type[BackgroundJob], calls: Iterable[Call]) -> list[Run]:
        self.check()
        return await _outside(self._launcher.enqueue_many(self, options, job, take(calls)))

    def _services(self) -> ServiceStack:
        if self._stack is None:
            self._stack = ServiceStack()
        return self._stack

    def check(self) -> None:
        """Raise `WorkspaceClosed` once it is closed."""
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> WorkspaceClosed:
        what = f"the workspace of job {self.job}" if self.job else "the workspace"
        whose = f" for tenant {self._tenant.id}" if self._tenant is not None else ""
        return WorkspaceClosed(f"{what}{whose} is closed; what outlives a job can't use its workspace or services")


_NO_DATABASE = (
    "this project has no database: expected `url` under [tool.pinstripe.database], such as url = 'sqlite:///app.db', "
    "or a service of your own in lib/services/database.py"
)


async def _outside(starting: Awaitable[T]) -> T:
    """Await what starts runs as if it were asked for outside of every job: its tasks must not end with this job's."""
    token = CURRENT.set(None)
    try:
        return await starting
    finally:
        CURRENT.reset(token)


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

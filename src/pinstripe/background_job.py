"""The class that an author writes, and the attempt that it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Iterable, Sequence
    from datetime import datetime, timedelta

    from pinstripe.database.service import Database
    from pinstripe.limits import Limits
    from pinstripe.options import Call, Options
    from pinstripe.priority import Priority
    from pinstripe.retry import Retry
    from pinstripe.run import Run
    from pinstripe.schedule import Schedule
    from pinstripe.tenants import Tenant
    from pinstripe.workspace import Workspace

T = TypeVar("T")


class Attempt:
    """One try of an execution, as its job sees it in `self.attempt`."""

    __slots__ = ("cancelled", "fence", "key", "number", "scheduled_for")

    def __init__(self, *, number: int, key: str, fence: int, scheduled_for: datetime | None = None) -> None:
        """Take the `number` (from 1), `key` (stable over attempts), `fence` (grows with each) and when it was due."""
        self.number = number
        self.key = key
        self.fence = fence
        self.scheduled_for = scheduled_for
        self.cancelled = False
        """Becomes True when the attempt should stop: a plain `def` looks here, since its thread can't be stopped."""


class BackgroundJob:
    """A background job: one class in one file of `lib/background_jobs/`, which names it.

    A subclass defines `run`, either `async def` or `def` (which runs in a thread of its own, or with
    `runs_in = "process"` in a process that can be killed). Services are declared by annotation (`mailer: Mailer`) and
    are there inside `run` as `self.mailer`; `self.database` needs no declaration. An object is made new for each
    attempt.
    """

    schedule: ClassVar[str | Schedule | Sequence[str | Schedule] | None] = None
    """When it runs by itself: a cron line, a `Schedule`, or a list of them."""

    multi_tenant: ClassVar[bool | None] = None
    """Whether it runs once for every matching tenant; None takes the project's `multi_tenant`."""

    timeout: ClassVar[str | timedelta | None] = None
    """How long one attempt may take, as `"30s"` or a `timedelta`; None is no limit."""

    runs_in: ClassVar[Literal["process"] | None] = None
    """`"process"` runs a plain `def run` in a process that can be killed."""

    retries: ClassVar[int | Retry | None] = None
    """How often a worker tries an execution again that failed by an exception, or a `Retry`; None is not at all."""

    overlap: ClassVar[Literal["skip", "queue", "allow"]] = "skip"
    """What becomes of a scheduled fire whose predecessor for the same tenant is unfinished.

    It is skipped (`"skip"`), waits for it (`"queue"`), or runs beside it (`"allow"`). What is enqueued by code is never
    held back by this.
    """

    limits: ClassVar[Limits | None] = None
    """How many of its executions may go on at once, as `Limits(total=…, per_tenant=…)`; None is any number."""

    priority: ClassVar[Literal["interactive", "default", "bulk"] | Priority | None] = None
    """How urgent it is when it waits for a worker; None is `"bulk"` for a run for many tenants, else `"default"`."""

    redact: ClassVar[Sequence[str]] = ()
    """The names of those parameters of `run` whose arguments nobody is shown: passwords, tokens, letters."""

    abstract: ClassVar[bool] = False
    """Set to True in a class that others inherit from; it is not inherited."""

    _workspace: Workspace
    _attempt: Attempt

    if TYPE_CHECKING:
        database: Database
    else:

        def __getattr__(self, name: str) -> Any:
            """Tell what is wrong with a service that isn't there: not declared, or closed."""
            if name.startswith("_") or hasattr(type(self), name):
                return object.__getattribute__(self, name)  # raises again what a property of the author's raised
            return self._workspace.service(name)

    @property
    def workspace(self) -> Workspace:
        """The isolated context in which this attempt happens."""
        return self._workspace

    @property
    def tenant(self) -> Tenant:
        """The tenant that this attempt is for; raises `TenantRequired` in a job that is not multi-tenant."""
        return self._workspace.require_tenant()

    @property
    def attempt(self) -> Attempt:
        """The present try: its `.number`, `.key`, `.fence`, `.cancelled` and `.scheduled_for`."""
        return self._attempt

    @property
    def logger(self) -> logging.Logger:
        """A logger named after the job; its lines are kept with the execution."""
        return self._workspace.logger

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await something from a plain `def run`, on the event loop that the services live on; give its value."""
        return self._workspace.wait(awaitable)

    def progress(self, done: float, total: float | None = None) -> None:
        """Show how far this attempt is: `done` of `total`, in units of the job's own; `total` None where unknown."""
        self._workspace.progress(done, total)

    def options(self, **options: Any) -> Options:
        """Choose the `tenants`, `exclude` or `where` of one run: `self.options(tenants=["a"])`.

        One that is enqueued may have `at` or `delay`, `key` and `priority` too.
        """
        return self._workspace.options(**options)

    async def run_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Run another job here and now, as `Workspace.run_background_job` does; give the finished run."""
        return await self._workspace.run_background_job(job, *args, **kwargs)

    async def enqueue_background_job(self, job: str | type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Run:
        """Leave another job, or this one, to the workers, as `Workspace.enqueue_background_job` does; give the run."""
        return await self._workspace.enqueue_background_job(job, *args, **kwargs)

    async def enqueue_background_jobs(self, job: str | type[BackgroundJob], calls: Iterable[Call]) -> list[Run]:
        """Leave many runs of a job to the workers, as `Workspace.enqueue_background_jobs` does; give them in order."""
        return await self._workspace.enqueue_background_jobs(job, calls)

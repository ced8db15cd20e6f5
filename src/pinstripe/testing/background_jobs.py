"""The background jobs of an application under test: what the fixtures `background_jobs` and its plain twin give."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pinstripe.errors import PinstripeError
from pinstripe.ledgers.sqlite.waiting import read_waiting
from pinstripe.plain import PlainProject
from pinstripe.project import UNSET, Project
from pinstripe.testing.draining import drain
from pinstripe.testing.enqueued import ANY, Enqueued, Expected, listed, restored
from pinstripe.testing.firing import fire_schedules
from pinstripe.testing.stage import Stage, run_plainly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from datetime import datetime, timedelta

    from pinstripe.background_job import BackgroundJob
    from pinstripe.plain import PlainWorkspace
    from pinstripe.run import Run
    from pinstripe.workspace import Workspace


class _Jobs:
    """What is the same in async and in plain tests."""

    __test__: ClassVar[bool] = False

    def __init__(self, stage: Stage) -> None:
        """Take the `stage` that was set for the test."""
        self._stage = stage

    @property
    def now(self) -> datetime:
        """What the clock tells the project: the moment when the test began, until it is told another."""
        return self._stage.now

    def advance(self, duration: str | timedelta) -> None:
        """Let time go on by a `duration`, such as `"5m"`. Nothing is executed by that, but `drain` finds it due."""
        self._stage.advance(duration)

    def set_time(self, moment: datetime) -> None:
        """Set the clock to an aware datetime; raises `ValueError` for another one."""
        self._stage.set_time(moment)

    def replace_services(self, **services: object) -> None:
        """Have these values stand in for the project's services of the same names, in all that happens from now on.

        They are not closed, and the services' files are not imported. Raises `ConfigurationError` for a name that no
        service has.
        """
        self._stage.replace_services(services)

    def configure(self, settings: Mapping[str, object]) -> None:
        """Set settings for what is opened from now on, by their dotted names: `{"database.url": "sqlite:///test.db"}`.

        Raises `ConfigurationError` for what can't be set, and for `ledger`.
        """
        self._stage.configure(settings)

    def enqueued(self, job: str | type[BackgroundJob] | None = None, *, tenant: str | None = ANY) -> list[Enqueued]:
        """Give what waits for workers, in the order in which it was enqueued: all, or of a `job`, or for a `tenant`.

        Raises `UnknownJob`.
        """
        registry = self._stage.project.registry
        name = None if job is None else registry.find(job).name
        return [
            restored(registry, work)
            for work in read_waiting(self._stage.ledger)
            if name in {None, work.job} and tenant in (ANY, work.tenant)
        ]

    def assert_enqueued(
        self, job: str | type[BackgroundJob], /, *args: Any, tenant: str | None = ANY, **kwargs: Any
    ) -> Enqueued:
        """Assert that a run of a job waits for workers, and give it (the first, if there are several).

        Of arguments, and of the tenant, those that are given must be equal; all others may be anything. Arguments that
        were left out when it was enqueued have their defaults. Raises `AssertionError`, which lists what waits instead,
        `UnknownJob`, and `InvalidArguments` for an argument that `run` doesn't have.
        """
        __tracebackhide__ = True
        expected = Expected(self._stage.project.registry.find(job), args, kwargs, tenant)
        waiting = self.enqueued()
        found = expected.find(waiting)
        if found is None:
            raise AssertionError(expected.explain(waiting))
        return found

    def assert_nothing_enqueued(
        self, job: str | type[BackgroundJob] | None = None, *, tenant: str | None = ANY
    ) -> None:
        """Assert that nothing waits for workers, of a `job` or for a `tenant` if they are given."""
        __tracebackhide__ = True
        waiting = self.enqueued(job, tenant=tenant)
        if waiting:
            message = f"expected nothing to be enqueued; what is:\n{listed(waiting)}"
            raise AssertionError(message)


class BackgroundJobs(_Jobs):
    """The project's jobs in an async test: on the test's event loop, a ledger of its own, and a clock that is told."""

    @asynccontextmanager
    async def workspace(self, *, tenant: str | None = UNSET) -> AsyncIterator[Workspace]:
        """Open the project, and a workspace for the tenant with this id; see `Project.workspace`."""
        project = Project(self._stage.settings)
        await project.open()
        try:
            async with project.workspace(tenant=tenant) as workspace:
                yield workspace
        finally:
            await project.close()

    def drain(self, *, raising: bool = True) -> Coroutine[Any, Any, list[Run]]:
        """Execute all that is due by the clock, also what it enqueues in its turn, in this process and in order.

        Gives the runs that have ended by it, in the order in which they were enqueued. What the first attempt that
        failed has raised is raised once all is done, also where it is to be tried again; with `raising=False` nothing
        is. What is due later, or paused, waits on.
        """
        _refuse_plain("drain")
        return drain(self._stage, raising=raising)

    def fire_schedules(
        self, duration: str | timedelta, *, job: str | type[BackgroundJob] | None = None
    ) -> Coroutine[Any, Any, list[Run]]:
        """Let time go on by a `duration`, such as `"1d"`, and let each schedule fire at its times on the way.

        Gives the runs that this made, in the order of that. None is executed: `drain` does that. Schedules are known
        since the first call, and each further one goes on from the last. What was missed in between, as by `advance`,
        is caught up as the schedule says. With a `job` no other one has schedules, nor misses any time by that.

        Raises `ValueError` for what is no duration, `InvalidJob` for a job that can't be loaded, `UnknownJob`, what the
        tenant source raises where schedules fire in tenants' zones, and `PinstripeError` after 100,000 fires.
        """
        _refuse_plain("fire_schedules")
        return fire_schedules(self._stage, duration, job)


class PlainBackgroundJobs(_Jobs):
    """The same in a test that is a plain function."""

    @contextmanager
    def workspace(self, *, tenant: str | None = UNSET) -> Iterator[PlainWorkspace]:
        """Open the project, and a workspace for the tenant with this id; see `PlainProject.workspace`."""
        project = PlainProject(self._stage.settings)
        try:
            project.open()
            with project.workspace(tenant=tenant) as workspace:
                yield workspace
        finally:
            project.close()

    def drain(self, *, raising: bool = True) -> list[Run]:
        """Execute all that is due by the clock; see `BackgroundJobs.drain`. It has an event loop of its own."""
        _refuse_async()
        runs: list[Run] = run_plainly(drain(self._stage, raising=raising))
        return runs

    def fire_schedules(self, duration: str | timedelta, *, job: str | type[BackgroundJob] | None = None) -> list[Run]:
        """Let time go on, and let each schedule fire on the way; see `BackgroundJobs.fire_schedules`."""
        _refuse_async()
        runs: list[Run] = run_plainly(fire_schedules(self._stage, duration, job))
        return runs


def _refuse_plain(method: str) -> None:
    if not _in_loop():
        message = f"{method}() of background_jobs is awaited; a plain test asks for the fixture plain_background_jobs"
        raise PinstripeError(message)


def _refuse_async() -> None:
    if _in_loop():
        message = "plain_background_jobs is for plain tests; an async one asks for the fixture background_jobs"
        raise PinstripeError(message)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

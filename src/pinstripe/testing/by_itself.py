"""A job by itself: no project, no ledger, and services that the test gives.

async with pinstripe.testing.workspace(tenant={"id": "acme"}, services={"mailer": fake}) as workspace:
    assert await workspace.perform(SendNewsletter, "weekly") == 3

With `database="sqlite:///test.db"`, or settings, it works on a real database, kept to the tenant as in production.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pinstripe.answers import Cancel
from pinstripe.arguments import bind, restore
from pinstripe.assignment import Assignment
from pinstripe.background_job import Attempt
from pinstripe.clock import SystemClock
from pinstripe.config import load_settings
from pinstripe.enqueueing import bind_calls
from pinstripe.errors import ConfigurationError, TenantRequired, UnknownJob
from pinstripe.executor import Executor
from pinstripe.loading import define
from pinstripe.names import nearest, normalise_job_name
from pinstripe.project_database import ProjectDatabase, database_service
from pinstripe.project_services import ProjectServices
from pinstripe.run import Counts, ExecutionStatus, Run, RunStatus, Trigger, new_run_id
from pinstripe.services import ServiceDefinition, Services
from pinstripe.tenant_sources import Tenants
from pinstripe.tenants import Tenant
from pinstripe.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from pinstripe.background_job import BackgroundJob
    from pinstripe.definition import Arguments, Definition
    from pinstripe.options import Call, Options, Terms

__all__ = ["TestingWorkspace", "workspace"]


@asynccontextmanager
async def workspace(
    *,
    tenant: object = None,
    services: Mapping[str, Any] | None = None,
    jobs: Mapping[str, type[BackgroundJob]] | None = None,
    database: str | Mapping[str, Any] | None = None,
) -> AsyncIterator[TestingWorkspace]:
    """Open a workspace to perform jobs in.

    `tenant` is an id, a mapping or object with an `id`, a `Tenant`, or None. `services` are ready to use, by name, and
    are not closed. `jobs` are those that a job under test runs by name; one that it runs by class needs no mention.

    `database` is the URL of a real database, or a mapping with the settings of `[tool.pinstripe.database]`, such as
    `{"url": "sqlite:///test.db", "models": "app.models"}`; no file of a project adds to them. Jobs have it as
    `self.database`, and the test as `workspace.database`, to arrange rows and look at them. Files are relative to the
    current folder, and must be there: make the tables first, as by `Base.metadata.create_all`. `isolation` is "rows" by
    default where there is a `tenant`, and otherwise "none". The connections are closed at the end.

    Raises `ConfigurationError` for settings that can't be, and what a tenant's item raises.
    """
    found = None if tenant is None else tenant if isinstance(tenant, Tenant) else await _tenant(tenant)
    project_database = None if database is None else _open_database(database, services or {}, found)
    bench = _Bench(services or {}, jobs or {}, project_database)
    try:
        async with TestingWorkspace(found, bench, project_database) as opened:
            try:
                yield opened
            finally:
                await bench.executor.close()
    finally:
        if project_database is not None:
            await project_database.close()


class TestingWorkspace(Workspace):
    """A workspace of a test. Jobs that are run from inside a job are performed in the same way."""

    __slots__ = ("_bench",)
    __test__: ClassVar[bool] = False  # so that pytest doesn't take it for a test

    def __init__(self, tenant: Tenant | None, bench: _Bench, database: ProjectDatabase | None = None) -> None:
        """Take the tenant, what performs jobs, and the database if there is one."""
        super().__init__(tenant, bench, databases=database)
        self._bench = bench

    async def perform(self, job_class: type[BackgroundJob], /, *args: Any, **kwargs: Any) -> Any:
        """Run a job with these arguments; give what its `run` returned, or raise what it raised.

        The class is checked as when a project loads it, and the arguments as when a run is started: they reach `run` as
        JSON would bring them. Services are those that were given; one that the job declares and that isn't there is a
        `ConfigurationError`. A job with `runs_in = "process"` runs in a thread here. What isn't an `Exception`, such as
        `SystemExit`, comes wrapped in a `PinstripeError`.
        """
        self.check()
        return await self._bench.perform(self, job_class, args, kwargs)

    @property
    def enqueued(self) -> list[Run]:
        """What was enqueued in this workspace and in its jobs, in order: queued runs, of which nothing is performed."""
        return self._bench.enqueued


class _Bench:
    """What performs jobs without a project; also what launches those that a job runs."""

    def __init__(
        self,
        services: Mapping[str, Any],
        jobs: Mapping[str, type[BackgroundJob]],
        database: ProjectDatabase | None,
    ) -> None:
        self._services = services
        self._offered = {} if database is None else database_service(database.settings)
        self._jobs = {normalise_job_name(name): job_class for name, job_class in jobs.items()}
        given = _GivenServices(services, self._offered)
        self.executor = Executor(given, ProjectServices(), self, databases=database)
        self.enqueued: list[Run] = []
        self._keys: dict[tuple[str, str], Run] = {}

    async def perform(
        self, inside: Workspace, job_class: type[BackgroundJob], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        definition = self._define(job_class, inside.tenant)
        values, named = restore(definition, *bind(definition, args, kwargs))
        run_id = new_run_id(SystemClock().now())
        assignment = Assignment(
            definition,
            tuple(values),
            dict(named),
            run_id,
            inside.tenant if definition.multi_tenant else None,
            Attempt(number=1, key=run_id, fence=1),
            definition.timeout,
        )
        outcome = await self.executor.execute(assignment)
        if outcome.succeeded:
            return outcome.value
        if outcome.status is ExecutionStatus.CANCELLED and not outcome.stopped:
            raise Cancel(outcome.error or "interrupted")
        raise outcome.exception or RuntimeError(f"{definition.name} was cancelled: {outcome.error}")

    async def launch(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        """Perform a job that another one runs, for the same tenant, and give a finished run."""
        _refuse_choice(options)
        job_class = self._find(job) if isinstance(job, str) else job
        started = datetime.now(UTC)
        value = await self.perform(workspace, job_class, args, kwargs)
        return Run(
            id=new_run_id(SystemClock().now()),
            job=_name(job_class),
            status=RunStatus.SUCCEEDED,
            trigger=Trigger.CODE,
            args=args,
            kwargs=kwargs,
            created_at=started,
            parent=workspace.run_id,
            result=value,
            started_at=started,
            finished_at=datetime.now(UTC),
            executions=Counts(total=1, succeeded=1),
        )

    async def enqueue(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        """Check what is enqueued as a project does, and keep it for the test to look at; nobody performs it."""
        definition = self._definition(workspace, options, job)
        return self._keep(definition, bind(definition, args, kwargs), options.terms(), workspace)

    async def enqueue_many(
        self, workspace: Workspace, options: Options, job: str | type[BackgroundJob], calls: list[Call]
    ) -> list[Run]:
        """Check what is enqueued, all of it first, and keep it."""
        definition = self._definition(workspace, options, job)
        bound = await bind_calls(definition, calls)
        return [self._keep(definition, each, options.terms(), workspace) for each in bound]

    def _definition(self, workspace: Workspace, options: Options, job: str | type[BackgroundJob]) -> Definition:
        _refuse_choice(options)
        job_class = self._find(job) if isinstance(job, str) else job
        definition = define(_name(job_class), job_class, multi_tenant=workspace.tenant is not None)
        _require(workspace.tenant, definition)
        return definition

    def _keep(self, definition: Definition, bound: Arguments, terms: Terms, workspace: Workspace) -> Run:
        known = self._keys.get((definition.name, terms.key)) if terms.key is not None else None
        if known is not None:
            return known
        args, kwargs = bound
        run = Run(
            id=new_run_id(SystemClock().now()),
            job=definition.name,
            status=RunStatus.QUEUED,
            trigger=Trigger.CODE,
            args=args,
            kwargs=kwargs,
            created_at=datetime.now(UTC),
            parent=workspace.run_id,
            executions=Counts(total=1, queued=1),
        )
        self.enqueued.append(run)
        if terms.key is not None:
            self._keys[definition.name, terms.key] = run
        return run

    def _find(self, name: str) -> type[BackgroundJob]:
        found = self._jobs.get(normalise_job_name(name))
        if found is None:
            near = nearest(name, self._jobs)
            hint = f" (did you mean {near[0]}?)" if near else ""
            message = f"the test knows no job {name!r}{hint}; give it by workspace(jobs={{{name!r}: ItsClass}})"
            raise UnknownJob(message)
        return found

    def _define(self, job_class: type[BackgroundJob], tenant: Tenant | None) -> Definition:
        definition = define(_name(job_class), job_class, multi_tenant=tenant is not None)
        _require(tenant, definition)
        names = definition.services
        if "database" in self._services and "database" not in names:
            names = ("database", *names)
        missing = [name for name in names if name not in self._services and name not in self._offered]
        if missing == ["database"]:
            message = f"{job_class.__name__} declares database: expected workspace(database='sqlite:///test.db')"
            raise ConfigurationError(message)
        if missing:
            given = ", ".join(f"{name!r}: …" for name in missing)
            message = f"{job_class.__name__} declares {', '.join(missing)}: expected workspace(services={{{given}}})"
            raise ConfigurationError(message)
        return replace(definition, services=names, runs_in="loop" if definition.runs_in == "loop" else "thread")


def _require(tenant: Tenant | None, definition: Definition) -> None:
    if definition.multi_tenant and tenant is None:
        message = f"{definition.job_class.__name__} is multi-tenant: expected pinstripe.testing.workspace(tenant=…)"
        raise TenantRequired(message)


def _refuse_choice(options: Options) -> None:
    if options.tenants is not None or options.exclude or options.where:
        message = "pinstripe.testing has one tenant and no source, so a job under test can't choose tenants by options"
        raise ConfigurationError(message)


class _GivenServices(Services):
    """Services that the test made, and those that are `offered` besides."""

    def __init__(self, values: Mapping[str, Any], offered: Mapping[str, ServiceDefinition]) -> None:
        super().__init__(Path(), "", offered)
        self._values = values
        self._besides = offered

    def order(self, names: Iterable[str]) -> list[ServiceDefinition]:
        return [
            self._besides.get(name)
            or ServiceDefinition(name, lambda name=name: self._values[name], (), "workspace", Path())
            for name in names
        ]


def _open_database(
    given: str | Mapping[str, Any], services: Mapping[str, Any], tenant: Tenant | None
) -> ProjectDatabase:
    if "database" in services:
        message = "expected either workspace(database=…) or a service 'database', got both"
        raise ConfigurationError(message)
    values = {"url": given} if isinstance(given, str) else dict(given)
    flags = {f"database.{name}": value for name, value in values.items()}
    # In a folder that can't have any file, so that no project's settings come in.
    settings = load_settings(os.devnull, environment={}, flags=flags).database
    if not database_service(settings) or settings is None:
        message = f"workspace(database=…): expected a URL, or settings with one, such as {{'url': …}}; got {given!r}"
        raise ConfigurationError(message)
    return ProjectDatabase(settings, Path.cwd(), has_tenants=lambda: tenant is not None)


def _name(job_class: type[BackgroundJob]) -> str:
    return normalise_job_name(job_class.__name__)


async def _tenant(item: object) -> Tenant:
    """Make a tenant as a source would."""
    async for tenant in Tenants([item]):
        return tenant
    raise AssertionError  # a list of one item has one tenant, or has raised

"""The composition root: from settings to a wired project. The only place that knows concrete classes.

Each of them is imported where it is first needed: a command that only looks at the ledger needs few.
"""

from __future__ import annotations

import logging
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pinstripe.application import set_up
from pinstripe.discovery import find_files
from pinstripe.errors import LedgerError, PinstripeError, TenantRequired, UnknownTenant
from pinstripe.project_actions import ProjectActions
from pinstripe.project_ledger import make_ledger
from pinstripe.tracing import Tracing
from pinstripe.watcher import Guarded, Watcher

if TYPE_CHECKING:
    from datetime import timedelta

    from pinstripe.bot import Bot
    from pinstripe.clock import Clock
    from pinstripe.config import Settings
    from pinstripe.executor import Executor
    from pinstripe.foreground import Foreground
    from pinstripe.opening_workspace import OpeningWorkspace
    from pinstripe.preview import Preview
    from pinstripe.processes import Processes
    from pinstripe.project_database import ProjectDatabase
    from pinstripe.project_services import ProjectServices
    from pinstripe.pulse import Pulse
    from pinstripe.registry import Registry
    from pinstripe.run import Run
    from pinstripe.runs import Request, Runs
    from pinstripe.services import Services
    from pinstripe.tenant_contexts import TenantContext
    from pinstripe.tenants import Tenant, TenantSource
    from pinstripe.worker import Worker

UNSET: Any = object()


class Project(ProjectActions):
    """An open project: its settings, jobs, services, tenants and ledger, wired together. One for a process.

    It is made by `open_project`. Everything that imports the project's own code does so after its `setup` was called.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Wire a project by its `settings`; nothing is opened or imported yet."""
        self.settings = settings
        self.ledger, self.clock = make_ledger(settings, clock)
        self._tracing = Tracing(settings.tracing)
        self._tenants: TenantSource | None = UNSET
        self._tenant_context: TenantContext | None = None
        self._database: ProjectDatabase | None = None
        self._foreground: Foreground | None = None
        self._executor: Executor | None = None
        self._prepared = False
        self._preparing = threading.RLock()
        self._closed = False
        self._pulse: Pulse | None = None
        self._workers: list[Worker] = []
        self._bots: list[Bot] = []

    @property
    def registry(self) -> Registry:
        """The jobs, by name."""
        self._prepare()
        return self._registry

    @property
    def services(self) -> Services:
        """The services, by name."""
        self._prepare()
        return self._services

    @cached_property
    def _services(self) -> Services:
        from pinstripe.project_database import database_service
        from pinstripe.services import Services

        settings = self.settings
        return Services(settings.services, settings.services_package, database_service(settings.database))

    @cached_property
    def _project_services(self) -> ProjectServices:
        from pinstripe.project_services import ProjectServices

        return ProjectServices()

    @cached_property
    def _registry(self) -> Registry:
        from pinstripe.registry import Registry

        settings = self.settings
        return Registry(
            settings.background_jobs,
            package=settings.background_jobs_package,
            multi_tenant=settings.multi_tenant,
            services=self._services,
            time_zone=settings.time_zone,
        )

    @property
    def tenants(self) -> TenantSource | None:
        """What tells which tenants there are; None where nothing is configured."""
        if self._tenants is UNSET:
            from pinstripe.project_database import find_tenant_source

            self._prepare()
            self._tenants = find_tenant_source(self.settings, self.database)
        return self._tenants

    @property
    def database(self) -> ProjectDatabase | None:
        """What opens the application's database; None where none is set up."""
        settings = self.settings.database
        if self._database is None and settings is not None:
            from pinstripe.project_database import ProjectDatabase, database_service

            if not database_service(settings):
                return None
            self._prepare()
            self._database = ProjectDatabase(
                settings, self.settings.folder, has_tenants=lambda: self.tenants is not None
            )
        return self._database

    @property
    def databases(self) -> ProjectDatabase | None:
        """What gives workspaces their `database`; None where a file of that name in the project does."""
        return None if "database" in self._services.names() else self.database

    @property
    def tenant_context(self) -> TenantContext | None:
        """What is entered for each tenant's workspace; None where nothing is configured."""
        if self.settings.tenants.context is not None and self._tenant_context is None:
            from pinstripe.tenant_contexts import load_tenant_context

            self._prepare()
            self._tenant_context = load_tenant_context(self.settings.tenants.context)
        return self._tenant_context

    def job_names(self) -> list[str]:
        """List the names of the jobs in files, without importing or setting up anything."""
        settings = self.settings
        return sorted(find_files(settings.background_jobs, settings.background_jobs_package))

    async def open(self) -> None:
        """Look at the ledger, and close the runs of processes that are gone."""
        folder = str(self.settings.folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            await self.ledger.open(write=False)
            await self.ledger.rescue()
        except BaseException:
            await self.ledger.close()
            raise

    async def close(self, *, prune: bool = True) -> None:
        """Stop what still runs, close the services and the ledger.

        Without `prune` what is past its retention stays, as where the ledger has failed: it would fail once more.
        """
        self._closed = True
        try:
            for bot in self._bots:
                await bot.close()
            for worker in self._workers:
                await worker.close()
            if self._foreground is not None:
                await self._foreground.close()
            if self._executor is not None:
                await self._executor.close()
                if self._executor.tallies is not None:
                    await self._executor.tallies.close()
            if self._pulse is not None:
                self._pulse.stop()
            if self._executor is not None:  # whoever else would have opened some
                await self._project_services.close()
            if self._database is not None:
                await self._database.close()
            # Workers remove that while they work, and must not be kept from ending by a server that is away.
            if prune and self._foreground is not None and not self._workers and not self._bots:
                await self._prune()
        finally:
            await self.ledger.close()

    async def _prune(self) -> None:
        """Remove what is past its retention; that it can't be done now spoils nothing that was done."""
        try:
            await self.ledger.prune()
        except LedgerError as error:
            logging.getLogger("pinstripe").warning("what is past its retention stays for now: %s", error)

    async def run(self, request: Request, watcher: Watcher | None = None) -> Run:
        """Run a job here and now; give the finished run, whatever became of its executions.

        Raises, before anything is recorded, `UnknownJob`, `InvalidJob`, `InvalidArguments`, `UnknownTenant`,
        `ConfigurationError`, `TenantSourceFailed` and `LedgerError`; and `LedgerError` where the ledger fails later.
        """
        return await (await self._started()).run(request, watcher or Watcher())

    async def retry(
        self,
        reference: str,
        *,
        skipped: bool = False,
        concurrency: int | None = None,
        fail_fast: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - of each execution, not of this call
        watcher: Watcher | None = None,
    ) -> Run | None:
        """Run again what failed or was cancelled in a run and has not succeeded in a later retry of it.

        With `skipped`, what was skipped too; `timeout` bounds each execution. Give the finished retry, or None where
        there is nothing to retry. Raises `UnknownRun`, and what `run` raises.
        """
        from pinstripe.runs import Request

        request = Request(reference, concurrency=concurrency, fail_fast=fail_fast, timeout=timeout)
        foreground = await self._started()
        return await foreground.retry(reference, request, skipped=skipped, watcher=watcher or Watcher())

    def worker(self, concurrency: int | None = None, *, watcher: Watcher | None = None) -> Worker:
        """Make a worker, which executes what is enqueued once its `work` is awaited; one for a process will do.

        At most `concurrency` executions go on at once in it; None takes the setting's. `watcher` is given what jobs
        print. Closing the project stops it.
        """
        from pinstripe.attempts import Attempts
        from pinstripe.selector import Selector
        from pinstripe.sweeper import Sweeper
        from pinstripe.tenant_lookup import TenantLookup
        from pinstripe.worker import Worker

        settings, watcher, active = self.settings, Guarded(watcher or Watcher()), self.settings.tenants.active
        lookup = TenantLookup(lambda: self.tenants, active, self.clock)
        attempts = Attempts(self.registry, lookup, self.clock, watcher)

        async def begin() -> None:
            attempts.executor = (await self._started()).executor

        worker = Worker(
            self.ledger,
            self.registry,
            attempts,
            Selector(self.ledger, self.registry, lambda: self.tenants, active, self.clock, self._tracing),
            Sweeper(self.ledger),
            clock=self.clock,
            watcher=watcher,
            concurrency=settings.worker.concurrency if concurrency is None else concurrency,
            shutdown_grace=settings.worker.shutdown_grace.total_seconds(),
            begin=begin,
        )
        self._workers.append(worker)
        return worker

    def bot(self, *, catch_up: bool = True) -> Bot:
        """Make a bot, which lets the jobs' schedules fire once its `work` is awaited; one for a process will do.

        Without `catch_up` nothing fires that was missed before. What fires is enqueued, for workers. Closing the
        project stops it.
        """
        from pinstripe.bot import Bot
        from pinstripe.timetable import Timetable
        from pinstripe.zone_groups import ZoneGroups

        tenants, zone = self.settings.tenants, self.settings.time_zone
        groups = ZoneGroups(lambda: self.tenants, active=tenants.active, attribute=tenants.time_zone, default=zone)
        timetable = Timetable(self.registry, groups, self.clock, time_zone=zone, zone_attribute=tenants.time_zone)
        bot = Bot(self.ledger, timetable, self.clock, catch_up=catch_up, begin=self._started, tracing=self._tracing)
        self._bots = [*(one for one in self._bots if not one.has_ended), bot]  # many fail where the ledger does
        return bot

    async def preview(self, request: Request) -> Preview:
        """Tell what `run` would do, and do nothing of it: no run is recorded."""
        from pinstripe.preview import Preview

        plan = await self._runs().plan(request)
        args, kwargs = plan.written
        return Preview(plan.definition, args, kwargs, plan.choice)

    def stop(self, reason: str = "interrupted") -> None:
        """Stop every run cleanly: what runs is cancelled, what has not started is cancelled as "not started"."""
        if self._foreground is not None:
            self._foreground.stop(reason)

    def workspace(self, *, tenant: str | None = UNSET) -> OpeningWorkspace:
        """Open a workspace for the tenant with this id; None is the explicit global one.

        Raises `TenantRequired` where the project has tenants and none of the two was said, and on entering
        `UnknownTenant`.
        """
        from pinstripe.opening_workspace import OpeningWorkspace

        if tenant is UNSET:
            if self.tenants is not None:
                message = "expected workspace(tenant=ID) in a project with tenants, or tenant=None for the global one"
                raise TenantRequired(message)
            tenant = None
        return OpeningWorkspace(self, tenant)

    async def find_tenant(self, id_: str) -> Tenant:
        """Give the tenant with this id; raises `UnknownTenant`."""
        source = self.tenants
        if source is None:
            message = f"no tenant {id_!r}: the project has no tenants; expected `source` under [tool.pinstripe.tenants]"
            raise UnknownTenant(message)
        if not isinstance(id_, str):
            message = f"expected the tenant's id as text, got {id_!r}"
            raise UnknownTenant(message)
        from pinstripe.selection import find_tenants

        found = await find_tenants(source, [id_])
        if id_ not in found:
            reason = f"unknown tenant {id_!r}"
            raise UnknownTenant(reason, "`pinstripe list-tenants` shows those there are")
        return found[id_]

    async def _started(self) -> Foreground:
        """Give what runs jobs, with the ledger open for writing, in a process that says that it lives."""
        foreground = await self._ready()
        foreground.pulse.start()
        return foreground

    async def _ready(self) -> Foreground:
        """Give what enqueues and runs jobs, with the ledger open for writing; nothing is started for that."""
        await self._open_for_writing()
        if self._foreground is None:
            from pinstripe.foreground import Foreground
            from pinstripe.pulse import Pulse
            from pinstripe.tallies import Tallies

            settings = self.settings
            self._foreground = Foreground(self._runs(), self.ledger, concurrency=settings.worker.concurrency)
            self._executor = self._make_executor(self._foreground)
            self._foreground.executor = self._executor
            self._executor.tallies = Tallies(self.ledger, self.clock)
            lease = settings.worker.lease.total_seconds()
            self._pulse = self._foreground.pulse = Pulse(self._executor, self.ledger.beat, beat_every=lease / 4)
        return self._foreground

    def _refuse_closed(self) -> None:
        if self._closed:
            raise PinstripeError(f"the project {self.settings.folder} has been closed; open it again to run in it")

    async def _open_for_writing(self) -> None:
        self._refuse_closed()
        await self.ledger.open(write=True)

    def _runs(self) -> Runs:
        from pinstripe.runs import Runs

        return Runs(
            self.registry,
            lambda: self.tenants,
            self.ledger,
            self.clock,
            self.settings.tenants.active,
            find_context=lambda: self.tenant_context,
            tracing=self._tracing,
        )

    def _prepare(self) -> None:
        """Call the application's own `setup`, once, before anything of it is imported; again where it has failed."""
        with self._preparing:  # a plain project is used by several threads
            if self._prepared:
                return
            if self.settings.setup is not None:
                set_up(self.settings.setup)
            self._tracing.check()
            _ = self._registry  # made here, where no other thread makes another one
            self._prepared = True

    def _make_executor(self, foreground: Foreground) -> Executor:
        from pinstripe.executor import Executor

        settings = self.settings
        return Executor(
            self.services,
            self._project_services,
            foreground,
            shutdown_grace=settings.worker.shutdown_grace.total_seconds(),
            processes=self._make_processes,
            context=None if settings.tenants.context is None else lambda: self.tenant_context,
            databases=self.databases,
            tracing=self._tracing,
        )

    def _make_processes(self) -> Processes:
        from pinstripe.processes import Processes  # only where a job runs in one

        return Processes(self.settings)

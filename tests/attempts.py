"""What tests of attempts share: small jobs and their assignments, services from functions, who launches nothing."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinstripe.assignment import Assignment
from pinstripe.background_job import Attempt, BackgroundJob
from pinstripe.errors import UnknownJob
from pinstripe.executing import CURRENT
from pinstripe.executor import Executor
from pinstripe.loading import define
from pinstripe.project_services import ProjectServices
from pinstripe.services import ServiceDefinition, Services
from pinstripe.tenants import Tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pinstripe.executing import Executing
    from pinstripe.options import Call, Options
    from pinstripe.outcome import Outcome
    from pinstripe.run import Run
    from pinstripe.tenant_contexts import TenantContext
    from pinstripe.workspace import Workspace

ACME = Tenant("acme", {"plan": "pro"})


@dataclass
class Nobody:
    """Remembers what was to be launched, and has no job."""

    asked: list[tuple[str | None, object, Any]] = field(default_factory=list)
    inside: list[Executing | None] = field(default_factory=list)

    async def launch(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        self.asked.append((workspace.run_id, job, (args, kwargs, options.tenants)))
        self.inside.append(CURRENT.get())
        raise UnknownJob(str(job))

    async def enqueue(
        self,
        workspace: Workspace,
        options: Options,
        job: str | type[BackgroundJob],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Run:
        return await self.launch(workspace, options, job, args, kwargs)

    async def enqueue_many(
        self, workspace: Workspace, options: Options, job: str | type[BackgroundJob], calls: list[Call]
    ) -> list[Run]:
        return [await self.launch(workspace, options, job, tuple(calls), {})]


def service(function: Callable[..., Any], *, scope: Any = "workspace") -> ServiceDefinition:
    """Make the definition of a service from a function, as if it stood in a file."""
    name = function.__name__
    parameters = tuple(inspect.signature(function).parameters)
    return ServiceDefinition(name, function, parameters, scope, Path(f"lib/services/{name}.py"))


class GivenServices(Services):
    """Services from definitions instead of files; the order is that of the real ones."""

    def __init__(self, *definitions: ServiceDefinition) -> None:
        super().__init__(Path("lib/services"), "lib.services")
        self._found.update({each.name: each for each in definitions})

    def names(self) -> list[str]:
        return sorted(self._found)


@asynccontextmanager
async def executor(
    *services: ServiceDefinition, grace: float = 25.0, context: TenantContext | None = None
) -> AsyncIterator[Executor]:
    """Give an executor over these services, in this context, and close it and them."""
    of_project = ProjectServices()
    find = None if context is None else lambda: context
    opened = Executor(GivenServices(*services), of_project, Nobody(), shutdown_grace=grace, context=find)
    try:
        yield opened
    finally:
        await opened.close()
        await of_project.close()


def assign(
    job_class: type[BackgroundJob],
    *args: Any,
    tenant: Tenant | None = ACME,
    timeout: float | None = None,
    **options: Any,
) -> Assignment:
    """Make an assignment of a job for a tenant."""
    definition = replace(define("the_job", job_class, multi_tenant=True), timeout=timeout)
    attempt = Attempt(number=1, key="run/acme", fence=1)
    return Assignment(definition, args, {}, "run", tenant, attempt, timeout, **options)


async def outcome_of(job_class: type[BackgroundJob], *args: Any, **options: Any) -> Outcome:
    """Execute a job without services, and give its outcome."""
    async with executor() as each:
        return await each.execute(assign(job_class, *args, **options))


class Waiting(BackgroundJob):
    """Says that it has begun, and waits for ever."""

    abstract = True

    async def begin(self) -> None:
        self.workspace.progress(0)
        await asyncio.Event().wait()


async def cancelled(job_class: type[BackgroundJob], *services: ServiceDefinition, grace: float = 25.0) -> Outcome:
    """Start a job, cancel it once it says that it has begun, and give its outcome."""
    begun = asyncio.Event()
    async with executor(*services, grace=grace) as each:
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        execution = each.start(
            assign(job_class, progress=lambda _done, _total: begun.set()),
            lambda _, outcome: outcomes.put_nowait(outcome),
        )
        await begun.wait()
        execution.cancel()
        outcome = await outcomes.get()
        assert outcomes.empty()
        return outcome

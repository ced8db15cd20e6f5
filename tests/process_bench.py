"""What tests of processes share: an executor over a project's jobs that may start processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pinstripe.assignment import Assignment
from pinstripe.background_job import Attempt
from pinstripe.config import load_settings
from pinstripe.executor import Executor
from pinstripe.processes import Processes
from pinstripe.project_services import ProjectServices
from pinstripe.registry import Registry
from pinstripe.services import Services
from tests.attempts import ACME, Nobody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from pinstripe.outcome import Outcome
    from pinstripe.tenants import Tenant
    from tests.conftest import ProjectFolder


class Bench:
    """Executes a job of the project."""

    def __init__(self, executor: Executor, registry: Registry) -> None:
        self.executor = executor
        self._registry = registry

    def assign(
        self,
        *args: Any,
        job: str = "crunch",
        tenant: Tenant | None = ACME,
        timeout: float | None = None,
        **options: Any,
    ) -> Assignment:
        definition = self._registry.find(job)
        return Assignment(
            definition, args, {}, "run", tenant, Attempt(number=1, key="key", fence=1), timeout, **options
        )

    async def execute(self, *args: Any, **options: Any) -> Outcome:
        return await self.executor.execute(self.assign(*args, **options))


@asynccontextmanager
async def bench(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.syspath_prepend(project.path)
    settings = load_settings(project.path)
    services = Services(settings.services, "lib.services")
    registry = Registry(settings.background_jobs, package="lib.background_jobs", multi_tenant=False, services=services)
    executor = Executor(services, ProjectServices(), Nobody(), processes=lambda: Processes(settings))
    try:
        yield Bench(executor, registry)
    finally:
        await executor.close()


async def ended(pid: int) -> None:
    """Wait until a child has ended, and leave it to the pool to take notice."""

    def wait() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    await asyncio.wait_for(asyncio.to_thread(wait), 5)

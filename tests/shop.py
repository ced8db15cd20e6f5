"""What tests of runs share: an open project with tenants, jobs that a test writes down as classes, and an ear."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pinstripe.ledger import RunFilter
from pinstripe.opening import open_project
from pinstripe.run import RunStatus
from pinstripe.runs import Request
from pinstripe.selection import Selection
from pinstripe.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pinstripe.background_job import BackgroundJob
    from pinstripe.project import Project
    from pinstripe.run import Counts, Execution, Failure, Run
    from tests.conftest import ProjectFolder

TENANCY = """
    items: list[object] = []
    reading = None

    async def tenants():
        for number, item in enumerate(items):
            if reading is not None:
                await reading(number)
            yield item
"""

FOUR: list[object] = [
    {"id": "acme", "plan": "pro", "active": True},
    {"id": "birch", "plan": "free", "active": True},
    {"id": "cedar", "plan": "pro", "active": True},
    {"id": "gone", "plan": "pro", "active": False},
]


@dataclass
class Shop:
    """An open project whose tenants are `items`, and whose jobs come from the tests."""

    project: Project
    names: dict[type[BackgroundJob], str] = field(default_factory=dict)

    def tenants(self, items: Sequence[object]) -> None:
        """Let these be the tenants from now on."""
        sys.modules["tenancy"].items = list(items)  # type: ignore[attr-defined]

    def on_reading(self, hear: Callable[[int], Any] | None) -> None:
        """Have `hear` awaited before each tenant that is read, with its number; it may raise."""
        sys.modules["tenancy"].reading = hear  # type: ignore[attr-defined]

    def add(self, job_class: type[BackgroundJob], name: str | None = None) -> str:
        """Register a job; give its name."""
        if job_class not in self.names:
            self.names[job_class] = self.project.registry.add(name or job_class.__name__, job_class).name
        return self.names[job_class]

    async def run(
        self, job_class: type[BackgroundJob], *args: Any, watcher: Watcher | None = None, **request: Any
    ) -> Run:
        """Run a job; what `Selection` takes may be given beside what `Request` takes."""
        chosen = {key: request.pop(key) for key in ("tenants", "exclude", "where", "force") if key in request}
        asked = Request(self.add(job_class), args, selection=Selection(**chosen), **request)
        return await self.project.run(asked, watcher)

    async def execution(self, run: Run, tenant: str | None = None) -> Execution:
        """Give one execution of a run."""
        found = await self.project.ledger.find_execution(run.id, tenant)
        assert found is not None
        return found

    async def statuses(self, run: Run, *tenants: str) -> list[str]:
        """Give the statuses of a run's executions for these tenants."""
        return [str((await self.execution(run, tenant)).status) for tenant in tenants]

    async def runs(self) -> list[Run]:
        """Give all runs, oldest first."""
        return [*reversed(await self.project.ledger.list_runs(RunFilter()))]

    async def none_is_open(self) -> bool:
        """Tell whether every run has ended."""
        return all(run.finished for run in await self.runs())


@asynccontextmanager
async def open_shop(
    folder: ProjectFolder, items: Sequence[object] = FOUR, *, settings: str = "", **flags: object
) -> AsyncIterator[Shop]:
    """Open a project whose tenants are `items`."""
    folder.file("tenancy.py", TENANCY)
    folder.configure('tenants.source = "tenancy:tenants"\n' + settings)
    async with open_project(folder.path, flags=flags) as project:
        assert project.tenants is not None  # and its module is imported
        shop = Shop(project)
        shop.tenants(items)
        yield shop


def many(count: int) -> list[object]:
    """Give `count` tenants, `t00000` and so on."""
    return [{"id": f"t{number:05}"} for number in range(count)]


async def in_global_workspace(shop: Shop, job_class: type[BackgroundJob], *args: Any, **options: Any) -> Run:
    """Run a job as code does that is outside of every run, and await it."""
    shop.add(job_class)
    async with shop.project.workspace(tenant=None) as workspace:
        if options:
            return await workspace.options(**options).run_background_job(job_class, *args)
        return await workspace.run_background_job(job_class, *args)


async def retried(shop: Shop, run: Run | str, **options: Any) -> Run:
    """Retry a run, in which something is left to retry."""
    found = await shop.project.retry(run if isinstance(run, str) else run.id, **options)
    assert found is not None
    return found


@dataclass
class Recorder(Watcher):
    """Writes down what it hears."""

    calls: list[str] = field(default_factory=list)
    advances: list[Counts] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    printed: list[tuple[str | None, str]] = field(default_factory=list)
    progresses: list[tuple[str | None, float, float | None]] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def created(self, run: Run) -> None:
        self.calls.append("created")
        assert run.status is RunStatus.QUEUED
        assert run.selecting

    def selecting(self, run: Run, found: int) -> None:
        self.calls.append("selecting")
        self.found.append(found)

    def selected(self, run: Run, total: int) -> None:
        self.calls.append("selected")
        assert run.executions.total == total

    def advanced(self, run: Run, counts: Counts, failures: Sequence[Failure]) -> None:
        self.calls.append("advanced")
        self.advances.append(counts)
        self.failures.extend(failures)

    def output(self, tenant: str | None, text: str) -> None:
        self.printed.append((tenant, text))

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        self.progresses.append((tenant, done, total))

    def finished(self, run: Run) -> None:
        self.calls.append("finished")
        self.runs.append(run)


class Begun(Recorder):
    """Hears when a job says that it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        super().progress(tenant, done, total)
        self.begun.set()

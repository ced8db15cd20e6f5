"""What tests of the bot share: processes on one ledger, each with its own code, whose clock is told the time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pinstripe.background_job import BackgroundJob
from pinstripe.clock import to_microseconds
from pinstripe.config import load_settings
from pinstripe.ledger import RunFilter
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from pinstripe.project import Project
from tests.ledgers.conftest import HandClock
from tests.shop import TENANCY, Shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pinstripe.bot import Bot
    from pinstripe.run import Run
    from pinstripe.schedule import Schedule
    from tests.conftest import ProjectFolder

SECOND = 1_000_000
"""Microseconds in it."""

SECONDS, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When the clock of these tests starts: a Friday."""


def scheduled(*schedules: str | Schedule, name: str = "Job", **attributes: Any) -> type[BackgroundJob]:
    """Make a job with these schedules, which does nothing unless it is given a `run`."""

    async def run(self: BackgroundJob, *args: Any, **kwargs: Any) -> None: ...

    return type(name, (BackgroundJob,), {"schedule": list(schedules), "run": run, **attributes})


@dataclass(eq=False)
class Process:
    """A process of the project, with its bot."""

    project: Project
    bot: Bot

    async def tick(self, now: int) -> None:
        """Let all fire that is due."""
        while await self.bot.tick(now):
            pass

    async def fired(self) -> list[str]:
        """Give the times of all scheduled runs with their jobs, by time: `job 11-20 12:00`; seconds unless zero."""
        return [_show(run) for run in await self.runs()]

    async def runs(self) -> list[Run]:
        """Give all scheduled runs, by time."""
        runs = await self.project.ledger.list_runs(RunFilter(limit=10_000))
        return sorted((run for run in runs if run.scheduled_for), key=lambda run: (run.scheduled_for, run.job))

    async def missed(self) -> list[str]:
        """Name the schedules that have let a time go, with that."""
        states = await self.project.ledger.fires.states()
        return [f"{one.job} {_stamp(one.missed)}" for one in states if one.missed is not None]

    def shop(self) -> Shop:
        """Give the project as other tests have it, with its tenants."""
        assert self.project.tenants is not None
        return Shop(self.project)


@dataclass
class World:
    """A machine: processes that come and go, and its clock."""

    folder: ProjectFolder
    clock: HandClock = field(default_factory=lambda: HandClock(to_microseconds(NOON)))
    processes: list[Process] = field(default_factory=list)
    lock_wait: float = 10.0
    """Seconds that a process waits for another that writes to the ledger."""

    async def start(self, *jobs: type[BackgroundJob], catch_up: bool = True, looks: bool = True) -> Process:
        """Start a process whose code has these jobs, and let its bot begin; without `looks` it looks at no zones."""
        process = self.make(*jobs, catch_up=catch_up)
        await process.project.open()
        await process.bot.open()
        if looks:
            await process.bot.look_at_zones()
        return process

    def make(self, *jobs: type[BackgroundJob], catch_up: bool = True) -> Process:
        """Make a process, and let nothing of it begin."""
        project = Project(load_settings(self.folder.path), clock=self.clock)
        path, retention = project.settings.ledger_path, project.settings.retention
        project.ledger = SQLiteLedger(path, clock=self.clock, retention=retention, lock_wait=self.lock_wait)
        for job in jobs:
            project.registry.add(job.__name__, job)
        process = Process(project, project.bot(catch_up=catch_up))
        self.processes.append(process)
        return process

    async def end(self, process: Process) -> None:
        """End a process."""
        self.processes.remove(process)
        await process.project.close()

    async def go(self, step: timedelta, *only: Process) -> None:
        """Let time pass; whenever something is due, all bots tick, or `only` these: the others are suspended."""
        processes = only or self.processes
        until = self.clock.microseconds + step // timedelta(microseconds=1)
        ticked = None
        while True:
            dues = [one.bot.next_due for one in processes if one.bot.next_due is not None]
            at = max(min(dues, default=until + 1), self.clock.microseconds)
            if at > until or at == ticked:  # what stays due can't be written now
                break
            self.pass_to(at)
            await self.tick(*processes)
            ticked = at
        self.pass_to(until)
        await self.tick(*processes)

    async def tick(self, *only: Process) -> None:
        """Have all bots tick, or `only` these."""
        for process in only or self.processes:
            await process.tick(self.clock.microseconds)

    def pass_to(self, moment: int) -> None:
        """Let time pass without anybody doing anything."""
        self.clock.advance(timedelta(microseconds=moment - self.clock.microseconds))


@asynccontextmanager
async def machine(
    folder: ProjectFolder, *, settings: str = "", tenants: Sequence[object] | None = None
) -> AsyncIterator[World]:
    """Give a machine whose processes end with the block."""
    if tenants is not None:
        folder.file("tenancy.py", TENANCY + f"\n    items = {list(tenants)!r}\n")
        settings = 'tenants.source = "tenancy:tenants"\n' + settings
    folder.configure(settings)
    world = World(folder)
    try:
        yield world
    finally:
        for process in world.processes:
            await process.project.close()


def _show(run: Run) -> str:
    assert run.scheduled_for is not None
    return f"{run.job} {_stamp(to_microseconds(run.scheduled_for))}"


def _stamp(moment: int) -> str:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment))
        .strftime("%m-%d %H:%M:%S")
        .removesuffix(":00")
    )

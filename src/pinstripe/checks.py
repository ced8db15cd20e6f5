"""What `pinstripe check` looks at: everything that can be found wrong before a job runs. It starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.definition import BrokenJob
from pinstripe.errors import PinstripeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pinstripe.definition import Definition
    from pinstripe.project import Project


class Problem(NamedTuple):
    """Something to mend: `where` it is (a file with its line, a setting, the ledger) and the `reason`."""

    where: str
    reason: str


async def find_problems(project: Project) -> AsyncIterator[Problem]:
    """Look at an opened project, and give each problem as it is found.

    Imports every job and service, reads the schedules, and asks the tenant source for its first page under every
    job's filter.
    """
    for setting in project.settings.without_effect():
        yield Problem(f"setting {setting}", "is set, but has no effect in this version")
    for problem in ignored_by_git(project.settings.background_jobs, project.settings.services):
        yield problem
    for service in project.services.problems():
        yield Problem(_place(service.path, service.line), service.reason)
    loaded = project.registry.load_all()
    for job in loaded:
        if isinstance(job, BrokenJob):
            yield Problem(_place(job.path, job.line) or f"job {job.name}", job.reason)
        else:
            for problem in _of_job(job, project):
                yield problem
    async for problem in _of_tenants(project, [job for job in loaded if not isinstance(job, BrokenJob)]):
        yield problem


def ignored_by_git(*folders: Path) -> Iterator[Problem]:
    """Tell which folders git ignores: what is never committed never arrives on a server."""
    from pinstripe.git import ignoring_rule

    for folder in folders:
        rule = ignoring_rule(folder / "any.py") if folder.is_dir() else None
        if rule is not None:
            yield Problem(str(folder), f"git ignores it by {rule}; add a line !{folder.name}/ or take that rule away")


def _of_job(job: Definition, project: Project) -> Iterator[Problem]:
    from datetime import UTC, datetime

    from pinstripe.loading import suspicious_attributes

    where = _place(job.path, None) or f"job {job.name}"
    for reason in suspicious_attributes(job.job_class):
        yield Problem(where, reason)
    for schedule in job.schedules:
        if next(schedule.fires(datetime.now(UTC), project.settings.time_zone), None) is None:
            yield Problem(where, f"the schedule {schedule.cron!r} never fires again")


async def _of_tenants(project: Project, jobs: list[Definition]) -> AsyncIterator[Problem]:
    """Read the first tenants of the source, then under each job's filter."""
    from pinstripe.selection import Choice, Selection, choose

    multi_tenant = [job for job in jobs if job.multi_tenant]
    if project.tenants is not None:
        try:
            await anext(Choice(project.tenants, None, frozenset()).pages(), None)
        except PinstripeError as error:
            yield Problem("setting tenants.source", str(error))
            return
    for job in multi_tenant:
        try:
            choice = await choose(job, Selection(), project.tenants, project.settings.tenants.active)
            await anext(choice.pages(), None)
        except PinstripeError as error:
            yield Problem(_place(job.path, None) or f"job {job.name}", str(error))


def _place(path: Path | None, line: int | None) -> str:
    return "" if path is None else f"{path}:{line}" if line else str(path)

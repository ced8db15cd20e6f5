"""What `pinstripe check` looks at: everything that can be found wrong before a job runs. It starts nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.definition import BrokenJob
from pinstripe.errors import ConfigurationError, LedgerError, PinstripeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pinstripe.definition import Definition
    from pinstripe.project import Project
    from pinstripe.selection import Choice


class Problem(NamedTuple):
    """Something to mend: `where` it is (a file with its line, a setting, the ledger) and the `reason`."""

    where: str
    reason: str


async def look(folder: Path) -> list[Problem]:
    """Look at the project in `folder`, and give every problem found.

    Imports every job and service, reads the schedules, connects to the ledger, and asks the tenant source for its first
    page under every job's filter. What can't be looked at because of a problem is passed over.
    """
    from pinstripe.config import load_settings
    from pinstripe.project import Project

    problems: list[Problem] = []
    try:
        project = Project(load_settings(folder))
    except ConfigurationError as error:
        return [Problem(_place(error.path, error.line) or "settings", error.reason)]
    try:
        problems += await _of_ledger(project)
        async for problem in _of_project(project):
            problems.append(problem)
    except ConfigurationError as error:  # the application's `setup`
        problems.append(Problem(_place(error.path, error.line) or "settings", error.reason))
    finally:
        await project.close()
    return problems


async def _of_ledger(project: Project) -> list[Problem]:
    """Open the project, and with it the ledger; tell why that can't be, or why nothing could be written."""
    path = project.settings.ledger_path
    try:
        await project.open()
    except LedgerError as error:
        return [Problem("ledger", str(error))]
    there = next(place for place in (path, *path.parents) if place.exists())
    if not os.access(there, os.W_OK):
        return [Problem("ledger", f"{there} can't be written by this user; let it, or change the setting `ledger`")]
    return []


async def _of_project(project: Project) -> AsyncIterator[Problem]:
    from pinstripe.loading import suspicious_attributes

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
            for reason in suspicious_attributes(job.job_class):
                yield Problem(_place(job.path, None) or f"job {job.name}", reason)
    async for problem in _of_tenants(project, [job for job in loaded if not isinstance(job, BrokenJob)]):
        yield problem


def ignored_by_git(*folders: Path) -> Iterator[Problem]:
    """Tell which folders git ignores: what is never committed never arrives on a server."""
    from pinstripe.git import ignoring_rule

    for folder in folders:
        rule = ignoring_rule(folder / "any.py") if folder.is_dir() else None
        if rule is not None:
            yield Problem(str(folder), f"git ignores it by {rule}; take that rule out, or let it name another folder")


async def _of_tenants(project: Project, jobs: list[Definition]) -> AsyncIterator[Problem]:
    """Read the first tenants of the source, then under each job's filter."""
    from pinstripe.selection import Choice, Selection, choose

    multi_tenant = [job for job in jobs if job.multi_tenant]
    if project.tenants is not None:
        try:
            await _first_page(Choice(project.tenants, None, frozenset()))
        except PinstripeError as error:
            yield Problem("setting tenants.source", str(error))
            return
    try:
        context = project.tenant_context
    except ConfigurationError as error:
        context = None
        yield Problem("setting tenants.context", error.reason)
    for job in multi_tenant:
        try:
            await _first_page(await choose(job, Selection(), project.tenants, project.settings.tenants.active))
            if context is not None:
                context.check(job)
        except ConfigurationError as error:
            yield Problem(_place(error.path or job.path, error.line) or f"job {job.name}", error.reason)
        except PinstripeError as error:
            yield Problem(_place(job.path, None) or f"job {job.name}", str(error))


async def _first_page(choice: Choice) -> None:
    from contextlib import aclosing

    async with aclosing(choice.pages()) as pages:
        await anext(pages, None)


def _place(path: Path | None, line: int | None) -> str:
    return "" if path is None else f"{path}:{line}" if line else str(path)

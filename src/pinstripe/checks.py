"""What `pinstripe check` looks at: everything that can be found wrong before a job runs. It starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.definition import BrokenJob
from pinstripe.errors import ConfigurationError, DatabaseUnavailable, IsolationError, PinstripeError
from pinstripe.ledger_checks import look_at_ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from pinstripe.definition import Definition
    from pinstripe.project import Project
    from pinstripe.selection import Choice
    from pinstripe.tenants import Tenant, TenantSource

_ZONES = 10
"""How many values that are no time zones are told."""


class Problem(NamedTuple):
    """Something to mend: `where` it is (a file with its line, a setting, the ledger) and the `reason`."""

    where: str
    reason: str


async def look(folder: Path) -> list[Problem]:
    """Look at the project in `folder`, and give every problem found.

    Imports every job and service, reads the schedules, connects to the ledger and the application's database, looks at
    its tables, and asks the tenant source for its first page under every job's filter, with the tenants' time zones
    where a schedule fires in them. What can't be looked at because of a problem is passed over.
    """
    from pinstripe.config import load_settings
    from pinstripe.project import Project

    problems: list[Problem] = []
    try:
        project = Project(load_settings(folder))
    except ConfigurationError as error:
        return [Problem(_place(error.path, error.line) or "settings", error.reason)]
    try:
        trouble = await look_at_ledger(project)
        if trouble is not None:
            problems.append(Problem("ledger", trouble))
        async for problem in _of_project(project):
            problems.append(problem)  # noqa: PERF401 - what was found before a failure is told
    except ConfigurationError as error:  # the application's `setup`
        problems.append(Problem(_place(error.path, error.line) or "settings", error.reason))
    finally:
        await project.close()
    return problems


async def _of_project(project: Project) -> AsyncIterator[Problem]:
    from pinstripe.loading import suspicious_attributes

    for problem in ignored_by_git(project.settings.background_jobs, project.settings.services):
        yield problem
    of_database = [problem async for problem in _of_database(project)]
    for problem in of_database:
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
    for problem in _of_application(project):
        yield problem
    async for problem in _of_tenants(project, [job for job in loaded if not isinstance(job, BrokenJob)]):
        if problem.reason not in {one.reason for one in of_database}:  # tenants that are kept there
            yield problem


def _of_application(project: Project) -> Iterator[Problem]:
    """Import the web application, and what tells who may see the dashboard, as start-server does."""
    settings = project.settings
    for setting, target in (("app", settings.app), ("server.access", settings.server.access)):
        if target is not None:
            try:
                _load(setting, target)
            except ConfigurationError as error:
                where = _place(error.path, error.line)
                reason = error.reason if where else error.reason.removeprefix(f"setting `{setting}`: ")
                yield Problem(where or f"setting {setting}", reason)


def _load(setting: str, target: str) -> None:
    if setting == "app":
        from pinstripe.server.application import load_application

        load_application(target)
    else:
        from pinstripe.server.access.own_login import load_own_login

        load_own_login(target)


def ignored_by_git(*folders: Path) -> Iterator[Problem]:
    """Tell which folders git ignores: what is never committed never arrives on a server."""
    from pinstripe.git import ignoring_rule

    for folder in folders:
        rule = ignoring_rule(folder / "any.py") if folder.is_dir() else None
        if rule is not None:
            yield Problem(str(folder), f"git ignores it by {rule}; take that rule out, or let it name another folder")


async def _of_database(project: Project) -> AsyncIterator[Problem]:
    """Connect to the application's database, and look at its tables."""
    settings = project.settings.database
    if settings is None:
        return
    if project.database is None:
        yield Problem(
            "setting database.url", "expected where the database is, such as 'sqlite:///app.db'; found nothing"
        )
        return
    if project.databases is None:
        file = project.settings.services / "database.py"
        yield Problem(
            str(file), "it hides the database of [tool.pinstripe.database]; rename it, or take that table out"
        )
    try:
        faults = await project.database.look(None if project.tenants is None else await _first_tenant(project.tenants))
    except (ConfigurationError, DatabaseUnavailable, IsolationError) as error:
        yield _of_setting(error)
        return
    except PinstripeError:
        return  # it is the tenants' source that failed, which is told of there
    for fault in faults:
        yield Problem("database", fault)


def _of_setting(error: PinstripeError) -> Problem:
    """Say what is wrong with the database, at the setting that the message begins with."""
    where, separator, reason = str(error).partition(": ")
    if separator and where.startswith("setting "):
        return Problem(where, reason)
    return Problem("database", str(error))


async def _first_tenant(source: TenantSource) -> Tenant | None:
    from pinstripe.selection import Choice

    page = await _first_page(Choice(source, None, frozenset()))
    return page[0] if page else None


async def _of_tenants(project: Project, jobs: list[Definition]) -> AsyncIterator[Problem]:
    """Read the first tenants of the source, then under each job's filter."""
    from pinstripe.selection import Choice, Selection, choose

    multi_tenant = [job for job in jobs if job.multi_tenant]
    try:
        if project.tenants is not None:
            await _first_page(Choice(project.tenants, None, frozenset()))
    except PinstripeError as error:
        if isinstance(error.__cause__, DatabaseUnavailable):
            yield _of_setting(error.__cause__)
        else:
            yield Problem("setting tenants.source", _of_setting(error).reason)
        return
    try:
        context = project.tenant_context
    except ConfigurationError as error:
        context = None
        yield Problem("setting tenants.context", error.reason)
    look_at_zones = _ZonesLook(project)
    for job in multi_tenant:
        try:
            page = await _first_page(await choose(job, Selection(), project.tenants, project.settings.tenants.active))
            for problem in look_at_zones(job, page):
                yield problem
            if context is not None:
                context.check(job)
        except ConfigurationError as error:
            yield Problem(_place(error.path or job.path, error.line) or f"job {job.name}", error.reason)
        except PinstripeError as error:
            yield Problem(_place(job.path, None) or f"job {job.name}", str(error))


class _ZonesLook:
    """Looks at the zones of the first tenants of jobs that fire in them; tells each value that is no zone once."""

    def __init__(self, project: Project) -> None:
        from pinstripe.tenant_zones import TenantZones

        self._zones = TenantZones(project.settings.tenants.time_zone, project.settings.time_zone)
        self._told: set[str] = set()

    def __call__(self, job: Definition, page: Sequence[Tenant]) -> Iterator[Problem]:
        from pinstripe.schedule import TENANT_ZONE
        from pinstripe.tenant_zones import MISSING, show_value

        if not page or all(schedule.time_zone != TENANT_ZONE for schedule in job.schedules):
            return
        zones = self._zones
        values = [zones.value(tenant) for tenant in page]
        if all(value is MISSING for value in values) and self._is_new(""):
            yield self._problem(
                f"the tenants have no attribute {zones.attribute!r}; expected the one that holds a zone"
            )
        for tenant, value in zip(page, values, strict=True):
            if zones.is_unknown(value) and self._is_new(show_value(value)):
                if len(self._told) > _ZONES:
                    yield self._problem("further tenants have other values that are no time zones")
                    return
                what = f"tenant {tenant.id!r} has {show_value(value)} in {zones.attribute!r}, which is no time zone"
                yield self._problem(f"{what}; expected an IANA name such as {_zone_like(value)!r}, or None")

    def _is_new(self, value: str) -> bool:
        """Tell whether a value is to be told: one more than so many, then none."""
        if value in self._told or len(self._told) > _ZONES:
            return False
        self._told.add(value)
        return True

    def _problem(self, reason: str) -> Problem:
        follows = (
            f'schedules with time_zone="tenant" fire for such tenants in the project\'s zone, {self._zones.default}'
        )
        return Problem("setting tenants.time_zone", f"{reason}: {follows}")


def _zone_like(value: object) -> str:
    """Give the name of a zone that may have been meant."""
    from zoneinfo import available_timezones

    from pinstripe.names import nearest

    near = nearest(value, available_timezones()) if isinstance(value, str) else []
    return near[0] if near else "Europe/Paris"


async def _first_page(choice: Choice) -> Sequence[Tenant]:
    from contextlib import aclosing

    async with aclosing(choice.pages()) as pages:
        async for page in pages:
            return page
    return ()  # `anext(pages, ())` is a SystemError where there is none: CPython 3.11 takes the tuple for arguments


def _place(path: Path | None, line: int | None) -> str:
    return "" if path is None else f"{path}:{line}" if line else str(path)

"""Pauses, as the commands that set, end and show them name them: a job, a tenant, one for the other, or everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from pinstripe.clock import to_datetime, to_iso
from pinstripe.commands.completion import complete_job, complete_tenant
from pinstripe.commands.screen import command_line, moment, visible
from pinstripe.errors import TenantSourceFailed, UnknownJob
from pinstripe.names import normalise_job_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.project import Project
    from pinstripe.queue import Pause

F = TypeVar("F", bound="Callable[..., Any]")
Completion = Callable[[click.Context, click.Parameter, str], list[str]]


class Scope(NamedTuple):
    """What a pause is of; with neither a `job` nor a `tenant` it is of everything."""

    job: str | None = None
    tenant: str | None = None

    def in_words(self) -> str:
        """Name it: `everything`, `job greet`, `tenant acme`, or `job greet for tenant acme`."""
        job = None if self.job is None else f"job {visible(self.job)}"
        tenant = None if self.tenant is None else f"tenant {visible(self.tenant)}"
        return " for ".join(part for part in (job, tenant) if part) or "everything"

    def options(self) -> list[str]:
        """Give the options that name it on a command line."""
        job = [] if self.job is None else ["--job", self.job]
        tenant = [] if self.tenant is None else ["--tenant", self.tenant]
        return [*job, *tenant] or ["--all"]

    def resume_line(self, project: str | None) -> str:
        """Give the command that ends this pause."""
        return command_line("resume", *self.options(), project=project)

    def covers(self, other: Scope) -> bool:
        """Tell whether all that `other` is of is in this, too."""
        return self.job in {None, other.job} and self.tenant in {None, other.tenant}

    def meets(self, other: Scope) -> bool:
        """Tell whether anything can be in both."""
        jobs = None in {self.job, other.job} or self.job == other.job
        return jobs and (None in {self.tenant, other.tenant} or self.tenant == other.tenant)


def scope_options(*, jobs: Completion = complete_job, tenants: Completion = complete_tenant) -> Callable[[F], F]:
    """Add `--job NAME`, `--tenant ID` and `--all`, given to the command as `job`, `tenant` and `everything`.

    `jobs` and `tenants` offer names to the shell.
    """

    def add(function: F) -> F:
        for option in (
            click.option("--all", "everything", is_flag=True, help="Everything: all jobs for all tenants."),
            click.option("--tenant", metavar="ID", shell_complete=tenants, help="This tenant."),
            click.option("--job", metavar="NAME", shell_complete=jobs, help="This job."),
        ):
            function = option(function)
        return function

    return add


def read_scope(job: str | None, tenant: str | None, *, everything: bool) -> Scope:
    """Make the scope that the options name; raises `UsageError` for none, or everything and a part of it."""
    if everything and not (job is None and tenant is None):
        message = "--all is everything; expected it alone, or --job and --tenant without it"
        raise click.UsageError(message, click.get_current_context())
    if not everything and job is None and tenant is None:
        message = "expected --job NAME, --tenant ID, both of them, or --all"
        raise click.UsageError(message, click.get_current_context())
    if tenant == "":  # `--tenant "$UNSET"` must never mean all tenants
        message = "--tenant: expected a tenant's id, got an empty text"
        raise click.UsageError(message, click.get_current_context())
    if job is not None:
        try:
            job = normalise_job_name(job)
        except ValueError as error:
            raise UnknownJob(str(error)) from error
    return Scope(job, tenant)


async def check_scope(scope: Scope, project: Project) -> None:
    """Raise `UnknownJob` or `UnknownTenant` where the project has no such job or tenant.

    A tenant source that fails can't tell, and must not keep anyone from pausing: it is warned of.
    """
    if scope.job is not None and scope.job not in project.job_names() and scope.job not in project.registry.names():
        project.registry.find(scope.job)  # says which names are near
    if scope.tenant is not None:
        try:
            await project.find_tenant(scope.tenant)
        except TenantSourceFailed as error:
            warning = f"Warning: whether there is a tenant {scope.tenant!r} can't be told: {error}"
            click.echo(visible(warning), err=True)


def scope_of(pause: Pause) -> Scope:
    """Give what a pause is of."""
    return Scope(pause.job, pause.tenant)


def since(pause: Pause) -> str:
    """Write a pause with the time it began at."""
    return f"{scope_of(pause).in_words()}, since {moment(to_datetime(pause.since))}"


def pauses_json(pauses: Sequence[Pause]) -> list[dict[str, Any]]:
    """Give pauses as JSON values."""
    return [{"job": pause.job, "tenant": pause.tenant, "since": to_iso(to_datetime(pause.since))} for pause in pauses]

"""What a pause is of, as the commands that set and end pauses read it from their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pinstripe.commands.completion import complete_job, complete_tenant
from pinstripe.errors import UnknownJob
from pinstripe.names import normalise_job_name
from pinstripe.views.pauses import Scope
from pinstripe.views.text import visible

F = TypeVar("F", bound="Callable[..., Any]")
Completion = Callable[[click.Context, click.Parameter, str], list[str]]


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


def warn(what: str) -> None:
    """Say on standard error what could not be told before something was paused or resumed."""
    click.echo(visible(f"Warning: {what}"), err=True)

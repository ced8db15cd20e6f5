"""`pinstripe list-tenants`: the tenants of the project, or those that a job is for."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from pinstripe.commands.completion import complete_job
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import visible, write_json_array
from pinstripe.errors import ConfigurationError
from pinstripe.project import open_project
from pinstripe.selection import Choice, Selection, choose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.project import Project
    from pinstripe.tenants import Tenant


@click.command(
    "list-tenants",
    short_help="The tenants, or those a job is for.",
    epilog=example("pinstripe list-tenants", "pinstripe list-tenants send_newsletter"),
)
@click.argument("job", required=False, metavar="[JOB]", shell_complete=complete_job)
@json_option
@project_option
def command(*, job: str | None, as_json: bool, project: str | None) -> None:
    """List the ids of all tenants, as their source gives them, one a line; with JOB those that its filter selects."""
    asyncio.run(_list(job, project, as_json=as_json))


async def _list(job: str | None, folder: str | None, *, as_json: bool) -> None:
    async with open_project(folder) as project:
        tenants = await _tenants(project, job)
        if as_json:
            await write_json_array(tenant.id async for tenant in tenants)
            return
        async for tenant in tenants:
            # Not click.echo, which flushes each line: there may be a hundred thousand.
            sys.stdout.write(visible(tenant.id) + "\n")


async def _tenants(project: Project, job: str | None) -> AsyncIterator[Tenant]:
    if job is not None:
        definition = project.registry.find(job)
        if not definition.multi_tenant:
            message = f"{definition.name} is not multi-tenant: it runs once, without a tenant"
            raise ConfigurationError(message)
        choice = await choose(definition, Selection(), project.tenants, project.settings.tenants.active)
        return _each(choice.pages())
    if project.tenants is None:
        message = (
            "this project says nothing of its tenants; expected `source` under [tool.pinstripe.tenants], "
            'as "module:attribute"'
        )
        raise ConfigurationError(message)
    return _each(Choice(project.tenants, None, frozenset()).pages())


async def _each(pages: AsyncIterator[list[Tenant]]) -> AsyncIterator[Tenant]:
    async for page in pages:
        for tenant in page:
            yield tenant

"""`pinstripe list-tenants`: the tenants of the project, or those that a job is for."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TextIO

import click

from pinstripe.commands.completion import complete_job
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import aside, write_json_array
from pinstripe.errors import ConfigurationError
from pinstripe.opening import open_project
from pinstripe.selection import Choice, Selection, choose
from pinstripe.views.text import visible

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

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
    with aside() as answer:
        asyncio.run(_list(job, project, answer, as_json=as_json))


async def _list(job: str | None, folder: str | None, answer: TextIO, *, as_json: bool) -> None:
    async with open_project(folder) as project:
        choice = await _choose(project, job)
        # Whoever stops reading early (`| head`) ends the reading of the source, too.
        async with aclosing(choice.pages()) as pages, aclosing(_ids(pages)) as ids:
            if as_json:
                await write_json_array(ids, answer)
                return
            async for id_ in ids:
                # Not click.echo, which flushes each line: there may be a hundred thousand.
                answer.write(visible(id_) + "\n")


async def _choose(project: Project, job: str | None) -> Choice:
    if job is not None:
        definition = project.registry.find(job)
        if not definition.multi_tenant:
            message = f"{definition.name} is not multi-tenant: it runs once, without a tenant"
            raise ConfigurationError(message)
        return await choose(definition, Selection(), project.tenants, project.settings.tenants.active)
    if project.tenants is None:
        message = (
            "this project says nothing of its tenants; expected `source` under [tool.pinstripe.tenants], "
            'as "module:attribute"'
        )
        raise ConfigurationError(message)
    return Choice(project.tenants, None, frozenset())


async def _ids(pages: AsyncIterator[list[Tenant]]) -> AsyncGenerator[str]:
    """Give each id once, as a run would."""
    seen: set[str] = set()
    async for page in pages:
        for tenant in page:
            if tenant.id not in seen:
                seen.add(tenant.id)
                yield tenant.id

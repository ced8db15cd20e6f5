"""`pinstripe pause`: let nothing more start of a job, for a tenant, or at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.pauses import read_scope, scope_options, warn
from pinstripe.commands.screen import aside, write_json
from pinstripe.views.pauses import Scope, pauses_json, scope_of, since

if TYPE_CHECKING:
    from pinstripe.queue import Pause


@click.command(
    "pause",
    short_help="Start nothing more of a job, for a tenant, or at all.",
    epilog=example("pinstripe pause --job send_newsletter", "pinstripe pause --tenant acme", "pinstripe pause --all"),
)
@scope_options()
@json_option
@project_option
def command(*, job: str | None, tenant: str | None, everything: bool, as_json: bool, project: str | None) -> None:
    """Let nothing more start of a job, for a tenant, of the job for the tenant (with both), or at all (with --all).

    What runs goes on. What is enqueued waits until `pinstripe resume` with the same options; of a run over several
    tenants, one whose tenant is paused is skipped instead.
    """
    scope = read_scope(job, tenant, everything=everything)
    with aside():
        new, pauses = asyncio.run(_pause(scope, project))
    if as_json:
        write_json({"job": scope.job, "tenant": scope.tenant, "changed": new, "pauses": pauses_json(pauses)})
        return
    if new:
        click.echo(f"Paused: {scope.in_words()}. What runs goes on; nothing more of it starts.")
    else:
        already = next((since(pause) for pause in pauses if scope_of(pause) == scope), scope.in_words())
        click.echo(f"Paused already: {already}.")
    others = [pause for pause in pauses if scope_of(pause) != scope]
    if others:
        click.echo("Paused, too:")
    for pause in others:
        click.echo(f"  {since(pause)}")
    click.echo(f"Go on:  {scope.resume_line(project)}")


async def _pause(scope: Scope, folder: str | None) -> tuple[bool, list[Pause]]:
    from pinstripe.commands.actors import whoever_types
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        new = await project.pause(scope.job, scope.tenant, actor=whoever_types(), warn=warn)
        return new, await project.ledger.queue.pauses()

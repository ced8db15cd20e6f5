"""`pinstripe resume`: end a pause, and only that one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.commands.completion import complete_paused_job, complete_paused_tenant
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.pauses import read_scope, scope_options, warn
from pinstripe.commands.screen import aside, write_json
from pinstripe.views.pauses import Scope, pauses_json, scope_of, since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.queue import Pause


@click.command(
    "resume",
    short_help="End a pause.",
    epilog=example(
        "pinstripe resume --job send_newsletter", "pinstripe resume --tenant acme", "pinstripe resume --all"
    ),
)
@scope_options(jobs=complete_paused_job, tenants=complete_paused_tenant)
@json_option
@project_option
def command(*, job: str | None, tenant: str | None, everything: bool, as_json: bool, project: str | None) -> None:
    """End the pause that `pinstripe pause` made with the same options, and no other: what it held back may start.

    `resume --all` ends the pause of everything; the pauses of single jobs and tenants stay.
    """
    scope = read_scope(job, tenant, everything=everything)
    with aside():
        ended, pauses = asyncio.run(_resume(scope, project))
    if as_json:
        write_json({"job": scope.job, "tenant": scope.tenant, "changed": ended, "pauses": pauses_json(pauses)})
        return
    click.echo(f"Resumed: {scope.in_words()}." if ended else f"Nothing to resume: {_not_paused(scope)}.")
    for line in _still(scope, pauses, project):
        click.echo(line)


async def _resume(scope: Scope, folder: str | None) -> tuple[bool, list[Pause]]:
    from pinstripe.commands.actors import whoever_types
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        ended = await project.resume(scope.job, scope.tenant, actor=whoever_types(), warn=warn)
        return ended, await project.ledger.queue.pauses()


def _not_paused(scope: Scope) -> str:
    if scope == Scope():
        return "not everything is paused"
    return f"{scope.in_words()} has no pause of its own"


def _still(scope: Scope, pauses: list[Pause], folder: str | None) -> Iterator[str]:
    """Give the lines about what other pauses still hold back of it: all of it, or a part."""
    wide = [pause for pause in pauses if scope_of(pause).covers(scope)]
    for pause in wide:
        yield f"Held all the same by the pause of {since(pause)}; end it with:  {scope_of(pause).resume_line(folder)}"
    parts = [pause for pause in pauses if pause not in wide and scope_of(pause).meets(scope)]
    if parts:
        yield "Still paused:"
    for pause in parts:
        yield f"  {since(pause)}"

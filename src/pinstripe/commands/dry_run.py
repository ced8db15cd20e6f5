"""`run-background-job --dry-run`: which tenants would run, with what, by which filter; nothing is written."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from pinstripe.commands.screen import aside, write_json
from pinstripe.commands.summary import NOTHING_RAN
from pinstripe.opening import open_project
from pinstripe.views.preview import filter_of, preview_json
from pinstripe.views.text import as_call, visible

if TYPE_CHECKING:
    from pinstripe.runs import Request


def show_dry_run(request: Request, *, project: str | None, as_json: bool) -> int:
    """Print what `request` would run; give the exit code: 3 where no tenant matches."""
    with aside() as answer:
        return asyncio.run(_show(request, project, answer, as_json=as_json))


async def _show(request: Request, folder: str | None, answer: TextIO, *, as_json: bool) -> int:
    async with open_project(folder) as project:
        preview = await project.preview(request)
        definition = preview.definition
        if as_json:
            found = await preview_json(preview)
            write_json(found, answer)
            return 0 if found["total"] else NOTHING_RAN
        echo = partial(click.echo, file=answer)
        echo(f"{definition.name}({as_call(*preview.shown())}) would run, but nothing runs now.")
        if not definition.multi_tenant:
            echo("It is not multi-tenant: it would run once, without a tenant.")
            return 0
        echo(f"Filter in force: {filter_of(preview, request, project)}")
        count = 0
        async for tenant in preview.tenants():
            echo(f"  {visible(tenant.id)}")
            count += 1
        if not count:
            echo("No tenant matches.")
            return NOTHING_RAN
        echo(f"{count:,} tenant{'' if count == 1 else 's'}.")
        return 0

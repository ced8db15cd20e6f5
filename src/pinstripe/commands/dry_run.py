"""`run-background-job --dry-run`: which tenants would run, with what, by which filter; nothing is written."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from pinstripe.commands.screen import aside, write_json
from pinstripe.commands.summary import NOTHING_RAN
from pinstripe.opening import open_project
from pinstripe.views.filters import filter_in_force
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
            ids = [tenant.id async for tenant in preview.tenants()]
            total = len(ids) if definition.multi_tenant else 1
            job = definition.name
            write_json(
                {"job": job, "args": [*preview.args], "kwargs": {**preview.kwargs}, "total": total, "tenants": ids},
                answer,
            )
            return 0 if total else NOTHING_RAN
        echo = partial(click.echo, file=answer)
        echo(f"{definition.name}({as_call(preview.args, preview.kwargs)}) would run, but nothing runs now.")
        if not definition.multi_tenant:
            echo("It is not multi-tenant: it would run once, without a tenant.")
            return 0
        echo(f"Filter in force: {_filter(visible(filter_in_force(definition, project) or ''), request)}")
        count = 0
        async for tenant in preview.tenants():
            echo(f"  {visible(tenant.id)}")
            count += 1
        if not count:
            echo("No tenant matches.")
            return NOTHING_RAN
        echo(f"{count:,} tenant{'' if count == 1 else 's'}.")
        return 0


def _filter(own: str, request: Request) -> str:
    """Add to the job's own filter what the command line asked for."""
    selection = request.selection
    parts = [f"{own} (overridden by --force)" if selection.force and selection.tenants else own]
    parts += [visible(f"--where {key}={value}") for key, value in selection.where]
    if selection.tenants:
        parts.append(f"--tenant, {len(selection.tenants):,} named")
    if selection.exclude:
        parts.append(f"--except, {len(selection.exclude):,} named")
    return "; ".join(parts)

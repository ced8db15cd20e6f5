"""What the shell offers when Tab is pressed: fast, and silent where anything goes wrong.

Enabled by `eval "$(_PINSTRIPE_COMPLETE=bash_source pinstripe)"` in `~/.bashrc`, or with `zsh_source` in `~/.zshrc`;
in fish by `_PINSTRIPE_COMPLETE=fish_source pinstripe | source`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import click

    from pinstripe.project import Project

PATIENCE = 2.0
"""How many seconds a shell waits at most."""

OFFERED = 200
"""How many names are offered at most."""


def complete_job(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of jobs; nothing for the arguments after the name, which only the job knows."""
    if param.name == "words" and (ctx.params.get("words") or ctx.params.get("name")):
        return []

    async def names(project: Project) -> list[str]:
        return project.job_names()

    return [name for name in _ask(ctx, names) if name.startswith(incomplete)]


def complete_tenant(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    """Offer the ids of tenants."""

    async def ids(project: Project) -> list[str]:
        found: list[str] = []
        async for tenant in project.tenants or ():  # type: ignore[union-attr]
            if tenant.id.startswith(incomplete):
                found.append(tenant.id)
                if len(found) == OFFERED:
                    break
        return found

    return _ask(ctx, ids)


def complete_run(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's
    incomplete: str,
    statuses: Sequence[str | None] = (None,),
) -> list[Any]:
    """Offer the newest runs by their short ids, with what they were, and `last`; with `statuses` only such runs."""
    from click.shell_completion import CompletionItem

    from pinstripe.views.text import moment, short

    async def runs(project: Project) -> list[CompletionItem]:
        from pinstripe.ledger import RunFilter
        from pinstripe.run import RunStatus

        return [
            CompletionItem(short(run.id), help=f"{run.job} {run.status} {moment(run.created_at)}")
            for status in statuses
            for run in await project.ledger.list_runs(
                RunFilter(status=None if status is None else RunStatus(status), failures=False)
            )
        ]

    offered = [CompletionItem("last", help="the newest run"), *_ask(ctx, runs)]
    return [item for item in offered if item.value.startswith(incomplete)]


def complete_open_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Offer the newest runs that aren't finished."""
    return complete_run(ctx, param, incomplete, ("running", "queued"))


def complete_paused_job(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    """Offer the names of jobs that are paused, for all tenants or one."""

    async def names(project: Project) -> list[str]:
        return sorted({pause.job for pause in await project.ledger.queue.pauses() if pause.job is not None})

    return [name for name in _ask(ctx, names) if name.startswith(incomplete)]


def complete_paused_tenant(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    """Offer the ids of tenants that are paused, for all jobs or one."""

    async def ids(project: Project) -> list[str]:
        return sorted({pause.tenant for pause in await project.ledger.queue.pauses() if pause.tenant is not None})

    return [id_ for id_ in _ask(ctx, ids) if id_.startswith(incomplete)]


def _ask(ctx: click.Context, question: Callable[[Project], Coroutine[Any, Any, list[Any]]]) -> list[Any]:
    """Ask the project; give nothing where there is none, it is broken, or it takes too long."""
    import asyncio
    import os
    from contextlib import redirect_stderr, redirect_stdout

    from pinstripe.opening import open_project

    async def asked() -> list[Any]:
        async with asyncio.timeout(PATIENCE), open_project(ctx.params.get("project")) as project:
            return await question(project)

    try:
        # What the project's own files print must not end up among the names.
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
            return asyncio.run(asked())
    except BaseException:  # noqa: BLE001 - a shell's prompt is no place for errors
        return []

"""What a run would be, as it is shown before anything of it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.views.filters import filter_in_force
from pinstripe.views.text import visible

if TYPE_CHECKING:
    from pinstripe.preview import Preview
    from pinstripe.project import Project
    from pinstripe.runs import Request


async def preview_json(preview: Preview, most: int | None = None) -> dict[str, Any]:
    """Give a preview as JSON values, in the documented order; `total` is 0 where no tenant matches.

    All tenants are read, for they are counted; with `most` no more than so many of their ids are given.
    """
    ids: list[str] = []
    total = 0
    args, kwargs = preview.shown()
    async for tenant in preview.tenants():
        total += 1
        if most is None or total <= most:
            ids.append(tenant.id)
    return {
        "job": preview.definition.name,
        "args": [*args],
        "kwargs": kwargs,
        "total": total if preview.definition.multi_tenant else 1,
        "tenants": ids,
    }


def filter_of(preview: Preview, request: Request, project: Project) -> str:
    """Write the filter in force for a run: the job's own, with what its `request` adds, as the command line says it."""
    own = visible(filter_in_force(preview.definition, project) or "")
    selection = request.selection
    parts = [f"{own} (overridden by --force)" if selection.force and selection.tenants else own]
    parts += [visible(f"--where {key}={value}") for key, value in selection.where]
    if selection.tenants:
        parts.append(f"--tenant, {len(selection.tenants):,} named")
    if selection.exclude:
        parts.append(f"--except, {len(selection.exclude):,} named")
    return "; ".join(parts)

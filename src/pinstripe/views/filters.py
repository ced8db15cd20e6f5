"""The filter by which a job chooses its tenants, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.errors import PinstripeError
from pinstripe.tenant_sources import describe_filter

if TYPE_CHECKING:
    from pinstripe.definition import Definition
    from pinstripe.project import Project


def filter_in_force(definition: Definition, project: Project) -> str | None:
    """Tell which tenants a job is for: `active=True`, or `all`; None for a job that is not multi-tenant."""
    if not definition.multi_tenant:
        return None
    try:
        source = project.tenants
        if source is None:
            return "no tenants: the project has no tenant source"
        return describe_filter(definition.tenants_filter, source, project.settings.tenants.active, job=definition.name)
    except PinstripeError as error:
        return f"can't be used: {error}"

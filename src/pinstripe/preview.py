"""What a run would do, told without doing any of it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.redaction import repr_without_arguments, shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pinstripe.definition import Definition
    from pinstripe.selection import Choice
    from pinstripe.tenants import Tenant


class Preview(NamedTuple):
    """The job that would run, with its arguments as the ledger would keep them, and the tenants it would run for."""

    definition: Definition
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    choice: Choice

    def __repr__(self) -> str:
        """Show all but the arguments."""
        return repr_without_arguments(self)

    def shown(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the arguments as they may be shown: `"***"` for each that the job's `redact` names."""
        return shown(self.args, self.kwargs, self.definition.redacted(self.args, self.kwargs))

    async def tenants(self) -> AsyncGenerator[Tenant, None]:
        """Read the tenants one after another, each once; none for a job that is not multi-tenant."""
        seen: set[str] = set()
        async with aclosing(self.choice.pages()) as pages:
            async for page in pages:
                for tenant in page:
                    if tenant.id not in seen:
                        seen.add(tenant.id)
                        yield tenant

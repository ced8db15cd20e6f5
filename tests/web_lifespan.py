"""The lifespan of an application that opens the project itself, as the documentation has it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pinstripe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Open the project of the current folder for as long as the application is served."""
    async with pinstripe.open_project() as project:
        yield {"pinstripe": project}

"""An open project whose clock a test tells, for what is shown of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.config import load_settings
from pinstripe.project import Project

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from pinstripe.clock import Clock
    from tests.conftest import ProjectFolder


class ToldClock:
    """A clock that stands still until it is told another time."""

    def __init__(self, now: int = 0) -> None:
        """Begin at `now`, in microseconds UTC."""
        self.time = now

    def now(self) -> int:
        """Give the time it was told."""
        return self.time

    def monotonic(self) -> float:
        """Give the same in seconds."""
        return self.time / 1_000_000

    def tell(self, moment: datetime) -> None:
        """Tell it the time."""
        self.time = to_microseconds(moment)


@pytest.fixture
def told_clock() -> ToldClock:
    return ToldClock()


@asynccontextmanager
async def opened(
    folder: ProjectFolder, clock: Clock | None = None, flags: Mapping[str, object] | None = None
) -> AsyncIterator[Project]:
    """Open a project, by a clock where one is given."""
    project = Project(load_settings(folder.path, flags=flags), clock=clock)
    await project.open()
    try:
        yield project
    finally:
        await project.close()


@pytest.fixture
def shop(project_folder: ProjectFolder) -> ProjectFolder:
    """Give a project with three tenants, in two zones."""
    project_folder.configure("""
        time_zone = "Europe/Paris"
        [tool.pinstripe.tenants]
        source = "shop:tenants"
    """)
    project_folder.file(
        "shop.py",
        """
        def tenants():
            yield {"id": "acme", "active": True, "time_zone": "Europe/Paris"}
            yield {"id": "globex", "active": True, "time_zone": "America/New_York"}
            yield {"id": "initech", "active": False, "time_zone": "Europe/Paris"}
        """,
    )
    return project_folder

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.views.status import look_at_status
from pinstripe.views.timeline import Timeline
from tests.views.conftest import opened

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.views.conftest import ToldClock

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

GREET = """
    from pinstripe import BackgroundJob

    class Greet(BackgroundJob):
        multi_tenant = True
        schedule = "0 * * * *"
        async def run(self): ...
    """


async def test_the_status_is_the_same_by_a_timeline(
    shop: ProjectFolder, told_clock: ToldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.path)
    shop.job("greet", GREET)
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        await project.ledger.open(write=True)
        timeline = Timeline(project)
        for ahead in range(0, 200, 20):
            told_clock.tell(NOW + timedelta(minutes=ahead))
            assert await look_at_status(project, timeline) == await look_at_status(project)

"""A worker that drains leaves nothing that could be done now, whenever it became ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from tests.working import enqueue, seen, told_shop

if TYPE_CHECKING:
    from pinstripe.queue import Taken
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Greet(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None:
        pass


async def test_tenants_that_are_selected_while_a_turn_is_on_its_way_are_not_left(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told_shop(project_folder) as (shop, _):
        run = await enqueue(shop, Greet)
        worker, queue = shop.project.worker(), shop.project.ledger.queue
        turn = queue.turn

        async def slow_turn(*args: Any) -> Taken:
            taken = await turn(*args)
            selection = worker._selection  # noqa: SLF001 - nothing public tells when it has ended
            if selection is not None:
                await asyncio.wait([selection])
            return taken

        monkeypatch.setattr(queue, "turn", slow_turn)
        await worker.work(drain=True)
        assert (await seen(shop, run)).status == "succeeded"

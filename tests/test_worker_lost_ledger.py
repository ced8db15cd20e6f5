"""A worker whose ledger's file goes away: it waits a little for it, and then ends, for nothing would be recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe import worker as workers
from pinstripe.errors import LedgerLost
from tests.shop import Recorder, open_shop
from tests.working import Gate, enqueue, gated, seen

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_worker_ends_when_its_ledger_is_gone_and_stops_what_runs(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool
) -> None:
    monkeypatch.setattr(workers, "LOST_LIMIT", 0.2)
    gate = Gate()
    async with open_shop(project_folder) as shop:
        path = shop.project.settings.ledger_path
        away = path.with_name("away.db")
        run = await enqueue(shop, gated(gate), "a")
        task = asyncio.create_task(shop.project.worker(1, watcher=Recorder()).work())  # so that no slot is free
        await gate.has(1)
        path.rename(away)
        if is_replaced:
            path.write_bytes(away.read_bytes())
        with pytest.raises(LedgerLost, match="was removed or replaced"):
            await task
        await gate.has(0)
        away.rename(path)  # what it ran is there, for the next one
        assert (await seen(shop, run)).executions.running == 1

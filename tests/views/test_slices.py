from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.due_times import DueTimes
from pinstripe.fires import ScheduleState
from pinstripe.views.slices import due_times_of, find_due_times
from tests.views.conftest import opened

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

HOUR = 3_600_000_000


async def test_others_have_the_event_loop_while_very_much_is_found() -> None:
    states = [
        ScheduleState(
            number, "a", "k", f"{number % 60} {number // 60 % 24} * * {number % 7}", "UTC", False, 0, None, None, False
        )
        for number in range(5_000)
    ]
    times, turns, done = DueTimes(), 0, False

    async def other() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await find_due_times(times, states, 100 * HOUR)
    done = True
    await task
    assert turns > 2


async def test_then_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, late = (ScheduleState(1, "a", "k", cron, "UTC", False, 0, None, None, cron == "1 * * * *") for cron in
                  ("1 * * * *", "0 * * * *"))  # fmt: skip
    times = DueTimes()
    await find_due_times(times, [gone, late], 5 * HOUR)
    monkeypatch.setattr(times, "walk", None)
    assert times.first_after(0, "0 * * * *", "UTC") == HOUR
    assert times.first_after(5 * HOUR, "0 * * * *", "UTC") == 6 * HOUR
    with pytest.raises(TypeError):
        times.first_after(0, "1 * * * *", "UTC")


async def test_a_project_has_its_due_times_once(shop: ProjectFolder) -> None:
    async with opened(shop) as project, opened(shop) as other:
        assert due_times_of(project) is due_times_of(project)
        assert due_times_of(project) is not due_times_of(other)

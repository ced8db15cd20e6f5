"""Runs that are watched: read once for all who look, and no more once nobody does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import LedgerError
from pinstripe.server.access.identity import Access, Role
from pinstripe.server.dashboard.live import LiveRuns, Look, TooManyViewers, Watched
from tests.jobs import FailsForSome, Waits
from tests.shop import open_shop
from tests.working import drain, enqueue, seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.run import Run
    from pinstripe.server.dashboard.live import Viewer
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
ALL = Access("test", Role.READ)
ACME = Access("acme's", Role.READ, frozenset({"acme"}))


@dataclass
class Counting:
    """A ledger that counts how often a run is looked up, and fails when it is told to."""

    ledger: Any
    looks: int = 0
    trouble: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    async def find_run(self, reference: str, *, failures: bool = True) -> Run:
        self.looks += 1
        if self.trouble is not None:
            raise LedgerError(self.trouble)
        found: Run = await self.ledger.find_run(reference, failures=failures)
        return found


@asynccontextmanager
async def watching(folder: ProjectFolder, **options: Any) -> AsyncIterator[tuple[Shop, LiveRuns, Counting]]:
    """Give a shop whose runs are watched every millisecond, and its ledger, which counts."""
    async with open_shop(folder) as shop:
        counting = shop.project.ledger = Counting(shop.project.ledger)
        live = LiveRuns(shop.project, look_every=0.001, **options)
        yield shop, live, counting
        live.close()


async def until_last(viewer: Viewer) -> list[Look]:
    """Give all looks, up to the last one."""
    looks: list[Look] = []
    while not (looks and looks[-1].is_last):
        look = await viewer.next(PATIENCE)
        assert look is not None
        looks.append(look)
    return looks


async def test_sees_a_run_to_its_end(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, _):
        run = await enqueue(shop, FailsForSome, "acme")
        async with live.watch(run, ALL) as viewer:
            first = await viewer.next(PATIENCE)
            assert first is not None
            assert first.run == run
            await drain(shop)
            last = (await until_last(viewer))[-1]
    assert last.run.status == "failed"
    assert (last.run.executions.succeeded, last.run.executions.failed) == (2, 1)
    assert last.run.failures == ()  # how many there are may be a thousand, for each look


async def test_reads_once_for_all_viewers_and_no_more_after_the_last(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, counting), AsyncExitStack() as stack:
        run = await enqueue(shop, FailsForSome)
        viewers = [await stack.enter_async_context(live.watch(run, ALL)) for _ in range(10)]
        assert (live.viewers, live.readers) == (10, 1)
        await drain(shop)
        lasts = [(await until_last(viewer))[-1] for viewer in viewers]
        assert len({id(look) for look in lasts}) == 1
        await stack.aclose()
        assert live.viewers == 0
        looks = counting.looks
        await asyncio.sleep(0)
        assert (live.readers, counting.looks) == (0, looks)


async def test_ends_the_reader_of_a_run_that_goes_on_with_its_last_viewer(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, _):
        run = await enqueue(shop, Waits)
        async with live.watch(run, ALL):
            async with live.watch(run, ALL):
                assert live.readers == 1
            assert live.readers == 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (live.viewers, live.readers) == (0, 0)
        async with live.watch(run, ALL) as viewer:  # and begins anew with the next
            assert live.readers == 1
            assert await viewer.next(PATIENCE) is not None


async def test_tells_why_nothing_goes_on(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, _):
        run = await enqueue(shop, FailsForSome, tenants=["acme", "birch"])
        async with live.watch(run, ALL) as viewer:
            look = await viewer.next(PATIENCE)
            while look is not None and look.waiting is None:
                look = await viewer.next(PATIENCE)
    assert look is not None
    assert look.waiting == "2 are queued; no worker is there; `pinstripe start-worker` starts one"


async def test_survives_a_ledger_that_is_away(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, counting):
        run = await enqueue(shop, FailsForSome)
        async with live.watch(run, ALL) as viewer:
            counting.trouble = "the server starts anew"
            look = await viewer.next(PATIENCE)
            while look is not None and look.trouble is None:
                look = await viewer.next(PATIENCE)
            assert look is not None
            assert (look.trouble, look.run.id) == ("the server starts anew", run.id)
            counting.trouble = None
            await drain(shop)
            last = (await until_last(viewer))[-1]
    assert (last.trouble, last.run.status) == (None, "succeeded")


async def test_ends_with_what_was_forgotten_meanwhile(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, _):
        run = await enqueue(shop, FailsForSome)
        gone = run.id[:-1] + ("0" if run.id[-1] != "0" else "1")
        other = type(run)(gone, run.job, run.status, run.trigger, (), {}, run.created_at)
        async with live.watch(other, ALL) as viewer:
            last = (await until_last(viewer))[-1]
    assert last.gone


async def test_shows_who_is_confined_their_own_part(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, _):
        run = await enqueue(shop, FailsForSome, "birch")
        await drain(shop)
        finished = await seen(shop, run)
        assert finished.executions.failed == 1
        async with live.watch(run, ALL) as all_, live.watch(run, ACME) as acme:
            assert live.readers == 2
            assert (await until_last(all_))[-1].run.executions.total == 3
            last = (await until_last(acme))[-1].run
    assert (last.executions.total, last.executions.failed) == (1, 0)


async def test_lets_no_more_watch_than_may(project_folder: ProjectFolder) -> None:
    async with watching(project_folder, most=2) as (shop, live, _):
        run = await enqueue(shop, FailsForSome)
        async with live.watch(run, ALL), live.watch(run, ALL):
            with pytest.raises(TooManyViewers):
                live.watch(run, ALL)
        live.watch(run, ALL)


async def test_lets_everybody_go_at_once_when_it_is_closed(project_folder: ProjectFolder) -> None:
    async with watching(project_folder) as (shop, live, _):
        run = await enqueue(shop, Waits)
        late = live.watch(run, ALL)
        async with live.watch(run, ALL) as viewer:
            assert await viewer.next(PATIENCE) is not None
            waiting = asyncio.create_task(viewer.next(PATIENCE))
            await asyncio.sleep(0)
            live.close()
            while (look := await waiting) is not None:
                waiting = asyncio.create_task(viewer.next(PATIENCE))
            assert look is None
            assert viewer.is_closed
        async with late:
            assert late.is_closed
        with pytest.raises(TooManyViewers):
            live.watch(run, ALL)


def test_tells_the_pace_of_the_last_seconds(some_run: Run) -> None:
    watched = Watched(some_run, ALL)
    assert watched.pace(_run(some_run, 100, 10), 0.0) == (None, None)
    assert watched.pace(_run(some_run, 100, 30), 2.0) == (10.0, 7.0)
    assert watched.pace(_run(some_run, 100, 30), 20.0) == (None, None)  # nothing came to its end lately
    rate, left = watched.pace(_run(some_run, 100, 60), 30.0)
    assert (rate, left) == (3.0, 40 / 3)


def _run(run: Run, total: int, done: int) -> Run:
    from dataclasses import replace

    return replace(run, executions=run.executions._replace(total=total, succeeded=done))


@pytest.fixture
def some_run() -> Run:
    """Give a run of no ledger."""
    from datetime import UTC, datetime

    from pinstripe.run import Run, RunStatus, Trigger

    return Run("1", "job", RunStatus.RUNNING, Trigger.CLI, (), {}, datetime(2026, 11, 21, tzinfo=UTC))

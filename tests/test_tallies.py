"""How executions that end are counted, and when what was counted is added to the ledger."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import tallies as module
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import LedgerError
from pinstripe.history import Tally
from pinstripe.opening import open_project
from pinstripe.run import ExecutionStatus
from pinstripe.runs import Request
from pinstripe.tallies import Tallies
from tests.jobs import Picky
from tests.shop import open_shop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.project import Project
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

DONE, FAILED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED


class Clock:
    minute = 7

    def now(self) -> int:
        return self.minute * 60_000_000 + 5

    def monotonic(self) -> float:
        return 0.0


class Kept:
    """A ledger that keeps what is added, or can't be used."""

    def __init__(self) -> None:
        self.history = self
        self.added: list[list[Tally]] = []
        self.fails = False
        self.lets = asyncio.Event()
        self.lets.set()
        self.heard = asyncio.Event()

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        self.heard.set()
        await self.lets.wait()
        if self.fails:
            raise LedgerError("away")
        self.added.append([*tallies])


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tallies(kept: Kept) -> Tallies:
    return Tallies(kept, Clock())  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picky, "bad", frozenset())


async def totals(project: Project) -> dict[tuple[str, str], int]:
    async with open_project(project.settings.folder) as looking:
        found = await looking.ledger.history.totals()
    assert all(tally.duration >= 0 for tally in found)
    return {(tally.job, str(tally.status)): tally.executions for tally in found}


async def test_what_is_alike_is_one_tally(kept: Kept, tallies: Tallies) -> None:
    tallies.count("a", DONE, 10)
    tallies.count("a", DONE, 5, 3)
    tallies.count("a", FAILED, 7)
    await tallies.add()
    await tallies.add()
    assert kept.added == [[Tally(7, "a", DONE, 4, 15), Tally(7, "a", FAILED, 1, 7)]]


async def test_what_can_not_be_added_is_kept_for_the_next_time(kept: Kept, tallies: Tallies) -> None:
    kept.fails = True
    tallies.count("a", DONE, 10)
    with pytest.raises(LedgerError):
        await tallies.add()
    tallies.count("a", DONE, 1)
    kept.fails = False
    await tallies.close()
    assert kept.added == [[Tally(7, "a", DONE, 2, 11)]]


async def test_it_is_added_by_itself_again_and_again(
    kept: Kept, tallies: Tallies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADD_EVERY", 0.0)
    kept.fails = True
    tallies.count("a", DONE, 10)
    await kept.heard.wait()
    kept.heard.clear()
    await kept.heard.wait()  # it is tried again by itself
    kept.fails = False
    kept.heard.clear()
    await kept.heard.wait()
    await tallies.close()
    assert [tally.executions for added in kept.added for tally in added] == [1]


async def test_the_end_waits_for_what_is_being_added_and_adds_the_rest(
    kept: Kept, tallies: Tallies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADD_EVERY", 0.0)
    kept.lets.clear()
    tallies.count("a", DONE, 10)
    await kept.heard.wait()
    tallies.count("b", DONE, 10)
    asyncio.get_running_loop().call_soon(kept.lets.set)
    await tallies.close()
    assert [tally.job for added in kept.added for tally in added] == ["a", "b"]


async def test_the_end_does_not_wait_for_ever(kept: Kept, tallies: Tallies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_LIMIT", 0.0)
    kept.lets.clear()
    tallies.count("a", DONE, 10)
    await tallies.close()
    assert kept.added == []


async def test_where_nothing_was_counted_nothing_is_added(kept: Kept, tallies: Tallies) -> None:
    await tallies.close()
    assert not kept.heard.is_set()


async def test_a_run_by_hand_counts_all_of_its_executions(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"birch"})
    async with open_shop(project_folder) as shop:
        shop.add(Picky)
        await shop.project.pause("picky", "cedar")
        await shop.run(Picky)
        await shop.run(Picky, force=True)
    assert await totals(shop.project) == {
        ("picky", "succeeded"): 3,
        ("picky", "failed"): 2,
        ("picky", "skipped"): 1,
    }


async def test_what_was_never_started_is_counted_too(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"acme"})
    async with open_shop(project_folder) as shop:
        run = await shop.run(Picky, fail_fast=True, concurrency=1)
        ended = run.executions
    assert (ended.failed, ended.cancelled) == (1, 2)
    assert await totals(shop.project) == {("picky", "failed"): 1, ("picky", "cancelled"): 2}


async def test_a_worker_counts_what_it_settles_for_good(project_folder: ProjectFolder) -> None:
    class Twice(BackgroundJob):
        retries = 1
        tried = 0

        async def run(self) -> None:
            type(self).tried += 1
            if self.attempt.number == 1:
                raise ValueError("again")

    Picky.bad = frozenset({"acme"})
    async with open_shop(project_folder) as shop:
        await shop.project.enqueue(Request(shop.add(Picky)))
        await shop.project.enqueue(Request(shop.add(Twice)))
        await shop.project.worker().work(drain=True)
        assert Twice.tried == 1  # the other attempt is due later
    assert await totals(shop.project) == {("picky", "succeeded"): 2, ("picky", "failed"): 1}


async def test_durations_are_those_of_the_executions(project_folder: ProjectFolder) -> None:
    class Waits(BackgroundJob):
        took = 0.0

        async def run(self) -> None:
            began = monotonic()
            await asyncio.sleep(0)
            type(self).took += monotonic() - began

    async with open_shop(project_folder) as shop:
        await shop.run(Waits)
        await shop.project.enqueue(Request("waits"))
        await shop.project.worker().work(drain=True)
        tallies: Any = shop.project._executor.tallies  # type: ignore[union-attr]  # noqa: SLF001 - added at its end
        await tallies.add()
        (total,) = await shop.project.ledger.history.totals()
        assert (total.executions, total.minute) == (2, 0)
        assert Waits.took * 1_000_000 - 2 <= total.duration < 60_000_000

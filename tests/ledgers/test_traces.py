"""What the ledger keeps of the span of whoever asks for a run, and gives to those who execute it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.queue import NewWork
from tests.ledgers.conftest import START
from tests.ledgers.moves import new_run
from tests.ledgers.queue.moves import SECOND, claim, claim_one, enqueue, enqueue_selecting
from tests.ledgers.schedules import due, known, register

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=a,other=b"


async def test_a_worker_is_given_it(worker: Ledger) -> None:
    await enqueue(worker, trace=TRACE)
    assert (await claim_one(worker)).run.trace == TRACE


async def test_mostly_there_is_none(worker: Ledger) -> None:
    run = await enqueue(worker)
    assert (await claim_one(worker)).run.trace is None
    assert (await worker.selected_by(run.id)).trace is None


async def test_each_of_many_has_its_own(worker: Ledger) -> None:
    works = [NewWork(new_run(trace=trace), ["a", "b"], key=trace) for trace in (TRACE, None, TRACE[:55])]
    await worker.queue.enqueue(works)
    assert {started.run.trace for started in await claim(worker)} == {TRACE, None, TRACE[:55]}


async def test_whoever_selects_is_given_it(worker: Ledger) -> None:
    await enqueue_selecting(worker, trace=TRACE)
    run = await worker.queue.take_selection()
    assert run is not None
    assert run.trace == TRACE


async def test_whoever_retries_is_given_that_of_the_old_run(ledger: Ledger) -> None:
    run = await ledger.create(new_run(trace=TRACE))
    assert (await ledger.selected_by(run.id)).trace == TRACE


async def test_a_fire_has_one(worker: Ledger) -> None:
    (number,) = await register(worker, known())
    assert await worker.fires.fire([due(number, START + 60 * SECOND, trace=TRACE)]) == [True]
    assert (await claim_one(worker)).run.trace == TRACE

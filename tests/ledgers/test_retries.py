"""Which tenants a retry is for, over chains of retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.run import Trigger
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, SUCCEEDED, carry_out, new_run, select

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import Run

pytestmark = pytest.mark.anyio


async def retryable(ledger: Ledger, run: Run, *, skipped: bool = False) -> list[str]:
    return await ledger.retryable(run.id, skipped=skipped, after=None, limit=99)


async def retry(ledger: Ledger, run: Run, tenants: list[str]) -> Run:
    origin = (await ledger.selected_by(run.id)).origin
    return await select(ledger, tenants, trigger=Trigger.RETRY, retry_of=run.id, origin=origin)


async def test_what_failed_or_was_cancelled_is_retried_and_what_was_skipped_on_request(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b", "c", "d", "e"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": SUCCEEDED, "c": CANCELLED, "d": SKIPPED})
    assert await retryable(ledger, run) == ["a", "c"]
    assert await retryable(ledger, run, skipped=True) == ["a", "c", "d"]
    await ledger.end(run.id, CANCELLED, "not started")
    assert await retryable(ledger, run, skipped=True) == ["a", "c", "d", "e"]
    assert await ledger.succeeded(run.id, ["a", "b", "c", "d", "e", "f"]) == {"b"}


async def test_who_succeeded_in_a_retry_is_not_retried_again(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": FAILED})
    first = await retry(ledger, run, ["a", "b"])
    await carry_out(ledger, first.id, {"a": SUCCEEDED, "b": FAILED})
    assert await retryable(ledger, run) == ["b"]
    assert await retryable(ledger, first) == ["b"]
    assert await ledger.succeeded(run.id, ["a", "b"]) == {"a"}
    second = await retry(ledger, first, ["b"])
    await carry_out(ledger, second.id, {"b": SUCCEEDED})
    assert await retryable(ledger, run) == []
    assert await retryable(ledger, first) == []
    assert await ledger.succeeded(run.id, ["a", "b"]) == {"a", "b"}
    assert await ledger.succeeded(first.id, ["a", "b"]) == {"a", "b"}
    assert await ledger.succeeded(second.id, ["a", "b"]) == {"a", "b"}


async def test_who_succeeded_in_another_retry_of_the_same_run_is_not_retried_again(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": FAILED})
    first = await retry(ledger, run, ["a", "b"])
    await carry_out(ledger, first.id, {"a": FAILED, "b": FAILED})
    second = await retry(ledger, run, ["a", "b"])
    await carry_out(ledger, second.id, {"a": SUCCEEDED, "b": FAILED})
    assert await retryable(ledger, first) == ["b"]
    assert await ledger.succeeded(first.id, ["a", "b"]) == {"a"}


async def test_who_is_in_a_retry_that_is_still_open_is_left_to_it(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b", "c"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": FAILED, "c": FAILED})
    open_ = await retry(ledger, run, ["a", "b"])
    await ledger.turn(open_.id, [], ["a"])
    assert await retryable(ledger, run) == ["c"]
    assert await ledger.succeeded(run.id, ["a", "b", "c"]) == {"a", "b"}
    await ledger.end(open_.id, CANCELLED, "not started")
    assert await retryable(ledger, run) == ["b", "c"]


async def test_another_run_of_the_job_is_no_retry(ledger: Ledger) -> None:
    run = await select(ledger, ["a"])
    await carry_out(ledger, run.id, {"a": FAILED})
    other = await select(ledger, ["a"])
    await carry_out(ledger, other.id, {"a": SUCCEEDED})
    assert await retryable(ledger, run) == ["a"]
    assert await ledger.succeeded(run.id, ["a"]) == set()


async def test_the_retryable_come_in_pages_in_one_order(ledger: Ledger) -> None:
    tenants = [f"{n:03}" for n in range(60)]
    run = await select(ledger, tenants)
    outcomes = [FAILED, SUCCEEDED, CANCELLED, SKIPPED]
    await carry_out(ledger, run.id, {tenant: outcomes[n % 4] for n, tenant in enumerate(tenants)})
    pages: list[str] = []
    while page := await ledger.retryable(run.id, skipped=True, after=pages[-1] if pages else None, limit=7):
        assert len(page) <= 7
        pages += page
    assert pages == [tenant for n, tenant in enumerate(tenants) if n % 4 != 1]


async def test_a_run_without_a_selection_leaves_out_who_succeeded_later(ledger: Ledger) -> None:
    run = await ledger.create(new_run())
    await ledger.abandon(run.id)
    again = await retry(ledger, run, ["a", "b"])
    await carry_out(ledger, again.id, {"a": SUCCEEDED, "b": FAILED})
    assert await ledger.succeeded(run.id, ["a", "b", "c"]) == {"a"}

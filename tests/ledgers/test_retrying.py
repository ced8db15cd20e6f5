"""Whom a retry is for, page by page, on both ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe import retrying
from pinstripe.retrying import retryable_pages, tenants_in
from pinstripe.run import Trigger
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, SUCCEEDED, carry_out, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio


async def pages(
    ledger: Ledger, run: str, *, skipped: bool = False, only: Sequence[str] | None = None
) -> list[list[str]]:
    return [page async for page in retryable_pages(ledger, run, skipped=skipped, only=only)]


async def test_all_or_some_in_pages(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAGE", 2)
    run = await select(ledger, ["a", "b", "c", "d", "e"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": FAILED, "c": SUCCEEDED, "d": SKIPPED, "e": CANCELLED})
    assert await pages(ledger, run.id) == [["a", "b"], ["e"]]
    assert await pages(ledger, run.id, only=["e", "c", "x", "b", "b", "a"]) == [["e"], ["b"], ["a"]]
    assert await pages(ledger, run.id, only=["d"]) == []
    assert await pages(ledger, run.id, only=["d", "e"], skipped=True) == [["d", "e"]]
    assert await pages(ledger, run.id, only=[]) == []
    assert await tenants_in(ledger, run.id, ["a", "x", "d"]) == {"a", "d"}


async def test_who_has_succeeded_since_is_in_no_page(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": FAILED})
    retry = await select(ledger, ["a"], trigger=Trigger.RETRY, retry_of=run.id, origin=run.id)
    await carry_out(ledger, retry.id, {"a": SUCCEEDED})
    assert await pages(ledger, run.id, only=["a", "b"]) == [["b"]]

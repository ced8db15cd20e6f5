"""The workers of the queue's behaviour suite: ledgers of `store` that have joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger


@pytest.fixture
async def worker(ledger: Ledger) -> Ledger:
    """Give the ledger of a worker."""
    await ledger.queue.join(10)
    return ledger


@pytest.fixture
async def second(worker: Ledger, other: Ledger) -> Ledger:
    """Give the ledger of another worker on the same store."""
    await other.queue.join(10)
    return other

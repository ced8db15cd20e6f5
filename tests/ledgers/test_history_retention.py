"""Tallies and the audit trail go in time, on every ledger; the totals stay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.history import Action, AuditEntry, Tally
from pinstripe.ledgers.retention import AUDIT, TALLIES
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio

MINUTE = 60_000_000


async def test_tallies_go_after_two_days_and_totals_stay(ledger: Ledger, clock: HandClock) -> None:
    first = clock.now() // MINUTE
    tallies = [Tally(first + minute, "greet", ExecutionStatus.SUCCEEDED, 1, 10) for minute in range(120)]
    await ledger.history.add_tallies(tallies)
    clock.advance(TALLIES - timedelta(minutes=1))
    await ledger.prune()
    assert await ledger.history.tallies(0) == tallies
    clock.advance(timedelta(minutes=61))
    await ledger.prune()
    assert await ledger.history.tallies(0) == tallies[60:]
    clock.advance(timedelta(days=365))
    await ledger.prune()
    assert await ledger.history.tallies(0) == []
    assert await ledger.history.totals() == [Tally(0, "greet", ExecutionStatus.SUCCEEDED, 120, 1_200)]


async def test_who_did_what_is_kept_for_ninety_days(ledger: Ledger, clock: HandClock) -> None:
    entries = [
        AuditEntry(clock.now() + day * 86_400_000_000, Actor(Door.CLI, "ada"), Action.PAUSE, job="greet")
        for day in range(120)
    ]
    for entry in entries:
        await ledger.history.begin_audit(entry)
    clock.advance(AUDIT - timedelta(hours=1))
    await ledger.prune()
    assert (await ledger.history.audit(limit=200)).entries == entries[::-1]
    clock.advance(timedelta(days=100))
    await ledger.prune()
    assert (await ledger.history.audit(limit=200)).entries == entries[:99:-1]

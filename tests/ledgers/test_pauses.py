"""What is paused is skipped in a run by hand, for nobody waits there for the end of the pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import SKIPPED, ended, select, start

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("job", "tenant", "started"),
    [
        ("greet", None, []),
        (None, None, []),
        (None, "b", ["a", "c"]),
        ("greet", "b", ["a", "c"]),
        ("bill", None, [*"abc"]),
    ],
)
async def test_what_is_paused_is_skipped(
    ledger: Ledger, job: str | None, tenant: str | None, started: list[str]
) -> None:
    await ledger.queue.pause(job, tenant)
    run = await select(ledger, [*"abc"])
    claimed = await start(ledger, run.id, *"abc")
    assert sorted(claimed) == started
    turn = await ledger.turn(run.id, [ended(one) for one in claimed.values()], [])
    assert turn.counts == Counts(3, succeeded=len(started), skipped=3 - len(started))
    assert (await ledger.find_run(run.id)).status is RunStatus.SUCCEEDED
    if not started:
        execution = await ledger.find_execution(run.id, "a")
        assert execution is not None
        assert (execution.status, execution.error) == (SKIPPED, "paused")


async def test_force_goes_beyond_a_pause(ledger: Ledger) -> None:
    await ledger.queue.pause(None, "a")
    run = await select(ledger, ["a"])
    turn = await ledger.turn(run.id, [], ["a"], force=True)
    assert [claimed.tenant for claimed in turn.claimed] == ["a"]


async def test_what_was_resumed_starts(ledger: Ledger) -> None:
    await ledger.queue.pause("greet", None)
    await ledger.queue.resume("greet", None)
    run = await select(ledger, ["a"])
    assert [*await start(ledger, run.id, "a")] == ["a"]

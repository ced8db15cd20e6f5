"""How every ledger is opened, to look or to write, and what is there for another process and after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledger import RunFilter
from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import FAILED, SUCCEEDED, carry_out, new_run, select, start

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def test_a_ledger_that_is_not_there_is_empty_to_who_only_looks(store: Store) -> None:
    ledger = store.ledger()
    await ledger.open(write=False)
    assert await ledger.list_runs(RunFilter()) == []
    assert await ledger.last_runs(["greet"]) == {}
    assert await ledger.rescue() == 0
    with pytest.raises(UnknownRun):
        await ledger.find_run("last")
    with pytest.raises(LedgerError):
        await ledger.create(new_run())
    assert not store.exists


async def test_who_only_looks_where_nobody_runs_writes_nothing(store: Store) -> None:
    first = store.ledger()
    await first.open()
    await select(first, [])
    await first.close()
    looking = store.ledger()
    await looking.open(write=False)
    assert await looking.rescue() == 0
    with pytest.raises(LedgerError, match="not open for writing"):
        await looking.create(new_run())


async def test_who_only_looked_may_write_later(store: Store) -> None:
    ledger = store.ledger()
    await ledger.open(write=False)
    await ledger.open(write=True)
    run = await select(ledger, ["a"])
    await ledger.open(write=False)
    assert (await ledger.find_run("last")).id == run.id


async def test_another_process_sees_what_was_acknowledged(ledger: Ledger, other: Ledger) -> None:
    run = await select(ledger, ["a"])
    assert await other.find_run(run.id) == run
    await carry_out(ledger, run.id, {"a": SUCCEEDED})
    assert (await other.find_run("last")).status == RunStatus.SUCCEEDED


async def test_what_was_recorded_is_there_after_a_restart(store: Store) -> None:
    first = store.ledger()
    await first.open()
    run = await select(first, ["a", "b"])
    await carry_out(first, run.id, {"a": FAILED, "b": SUCCEEDED})
    found = await first.find_run(run.id)
    await first.close()
    await first.close()
    second = store.ledger()
    await second.open(write=False)
    assert await second.find_run("last") == found


async def test_a_run_that_its_process_left_open_at_its_end_is_up_for_rescue(store: Store, other: Ledger) -> None:
    """A process that ends cleanly while a run of it is open must not leave that open for ever."""
    leaving = store.ledger()
    await leaving.open()
    run = await select(leaving, ["a", "b"])
    await start(leaving, run.id, "a")
    await leaving.close()
    assert await other.rescue() == 1
    found = await other.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(total=2, cancelled=2))
    assert await other.rescue() == 0

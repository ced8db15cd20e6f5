from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import LedgerError
from pinstripe.ledgers.hosts import began, boot_id, host
from pinstripe.ledgers.postgres.database_clock import DatabaseClock
from pinstripe.ledgers.postgres.owners import LEASE
from tests.ledgers.stores import NO_PROCESS

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
A_LEASE = timedelta(seconds=LEASE) + SECOND

ELSEWHERE = "host = 'another machine', boot_id = 'its boot'"
TWIN = "boot_id = 'the boot of another machine of that name'"

OPEN_RUN = """
insert into runs(id, job, state, trigger, args, kwargs, selection, origin, created_at, owner)
values ('a', 'greet', 'queued', 'cli', '[]', '{{}}', '{{}}', 'a', 0, {0})
"""
RUNNING = "insert into executions(run, tenant, job, state, owner) values (1, '', 'greet', 'running', {0})"


async def dead(store: Store) -> list[int]:
    return [owner.id for owner in await store.ours().dead()]


def change(database: Database, store: Store, what: str) -> None:
    database.fetch(f"update owners set {what} where id = {store.ours().id}")


async def test_a_process_has_one_row_however_often_it_asks(process: Store, database: Database) -> None:
    numbers = await asyncio.gather(*(process.register() for _ in range(5)))
    assert {*numbers, await process.register()} == {process.ours().id}
    ((name, *row),) = database.owners("name, host, boot_id, pid, worker, bot, stopping, expires_at - beat")
    assert row == [host(), boot_id(), os.getpid(), False, False, False, LEASE * 1_000_000]
    assert name.partition(".")[2] == began(os.getpid())


async def test_a_row_that_is_gone_is_never_revived(process: Store, database: Database) -> None:
    first = await process.register()
    database.fetch("delete from owners")
    process.ours().forget(first + 1)
    assert process.ours().id == first
    process.ours().forget(first)
    assert await process.register() != first


async def test_a_row_whose_making_was_not_acknowledged_is_taken(process: Store, database: Database) -> None:
    owners = process.ours()
    first = await owners.register("")
    owners._id = None  # noqa: SLF001 - as when the connection broke in the commit
    assert await owners.register("") == first
    assert database.owners() == [first]


async def test_who_leaves_leaves_nothing(process: Store, database: Database) -> None:
    await process.ours().leave()
    await process.register()
    await process.ours().leave()
    await process.ours().leave()
    assert database.owners() == []
    assert process.ours().id is None


@pytest.mark.parametrize("left", [OPEN_RUN, RUNNING])
async def test_what_someone_leaves_open_is_up_for_rescue_at_once(
    process: Store, neighbour: Store, database: Database, left: str
) -> None:
    number = neighbour.ours().id
    change(database, neighbour, ELSEWHERE)
    database.fetch(left.format(number))
    assert await dead(process) == []
    await neighbour.ours().leave()
    assert await dead(process) == [number]


async def test_a_process_of_this_host_that_is_gone_is_dead_at_once(
    process: Store, neighbour: Store, database: Database
) -> None:
    assert await dead(process) == []
    change(database, neighbour, f"pid = {NO_PROCESS}")
    assert await dead(process) == [neighbour.ours().id]
    assert await dead(neighbour) == []


@pytest.mark.skipif(not began(os.getpid()), reason="nothing tells here when a process began")
async def test_one_whose_number_is_another_process_s_by_now_is_dead_at_once(
    process: Store, neighbour: Store, database: Database
) -> None:
    change(database, neighbour, "name = 'as it was.1'")
    assert await dead(process) == [neighbour.ours().id]


@pytest.mark.parametrize("where", [ELSEWHERE, TWIN])
async def test_of_another_machine_s_process_only_the_lease_tells(
    process: Store, neighbour: Store, database: Database, clock: HandClock, where: str
) -> None:
    """Also where both machines have the same name, and one of them has no process of that number."""
    change(database, neighbour, f"{where}, pid = {NO_PROCESS}, worker = true")
    assert await dead(process) == []
    clock.advance(timedelta(seconds=LEASE) - SECOND)
    assert await dead(process) == []
    clock.advance(2 * SECOND)
    assert await dead(process) == [neighbour.ours().id]
    change(database, neighbour, f"expires_at = {clock.now() + 1_000_000}")
    assert await dead(process) == []


async def test_a_worker_that_is_stopped_for_a_lease_is_dead_but_no_run_by_hand(
    process: Store, neighbour: Store, database: Database, clock: HandClock
) -> None:
    clock.advance(timedelta(days=1))
    assert await dead(process) == []
    change(database, neighbour, "worker = true")
    assert await dead(process) == [neighbour.ours().id]


async def test_an_outage_of_an_hour_blames_nobody(
    process: Store, neighbour: Store, database: Database, clock: HandClock
) -> None:
    change(database, neighbour, f"{ELSEWHERE}, worker = true")
    number = neighbour.ours().id
    clock.advance(timedelta(hours=1))
    database.cut()
    assert await dead(process) == []
    clock.advance(timedelta(seconds=LEASE / 2) - SECOND)
    assert await dead(process) == []
    clock.advance(2 * SECOND)
    assert await dead(process) == [number]


async def test_after_an_outage_a_process_that_is_gone_is_dead_all_the_same(
    process: Store, neighbour: Store, database: Database
) -> None:
    change(database, neighbour, f"pid = {NO_PROCESS}")
    database.cut()
    assert await dead(process) == [neighbour.ours().id]


async def test_a_server_that_has_just_started_blames_nobody(
    new_process: NewProcess, neighbour: Store, database: Database
) -> None:
    """Whoever comes new has seen no outage; the server tells that there was one."""
    change(database, neighbour, f"{ELSEWHERE}, worker = true, expires_at = 1")
    young = await new_process(DatabaseClock(), lease=timedelta(days=90).total_seconds())  # no server is older here
    assert await dead(young) == []
    old = await new_process(DatabaseClock(), lease=0.001)
    assert await dead(old) == [neighbour.ours().id]


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_database_s_clock_that_is_set_or_a_machine_that_slept_blames_nobody(
    process: Store, neighbour: Store, database: Database, clock: HandClock, hours: int
) -> None:
    change(database, neighbour, f"{ELSEWHERE}, worker = true, expires_at = 1")
    number = neighbour.ours().id
    assert await dead(process) == [number]
    clock.jump(timedelta(hours=hours))
    assert await dead(process) == []
    clock.advance(timedelta(seconds=LEASE / 2) - SECOND)
    assert await dead(process) == []
    clock.advance(2 * SECOND)
    assert await dead(process) == [number]


async def test_whoever_has_not_looked_before_finds_a_jump_too(
    process: Store, neighbour: Store, database: Database, clock: HandClock
) -> None:
    change(database, neighbour, f"{ELSEWHERE}, worker = true")
    clock.jump(timedelta(hours=1))
    assert await dead(process) == []


async def test_that_another_process_of_this_host_ends_by_intent(
    process: Store, neighbour: Store, database: Database
) -> None:
    await process.register()
    change(database, neighbour, f"pid = {NO_PROCESS}")
    await process.ours().stopping(NO_PROCESS)
    assert dict(database.owners("id, stopping")) == {process.ours().id: False, neighbour.ours().id: True}


async def test_nobody_leaves_a_ledger_that_is_closed(process: Store) -> None:
    owners: Any = process.ours()
    await process.close()
    with pytest.raises(LedgerError, match="not open for writing"):
        await owners.register("")
    with pytest.raises(LedgerError, match="not open for writing"):
        process.ours()

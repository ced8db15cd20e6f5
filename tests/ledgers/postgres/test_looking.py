from __future__ import annotations

import asyncio
import gc
import os
import threading
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from pinstripe.errors import LedgerError
from pinstripe.ledgers.hosts import boot_id, host
from pinstripe.ledgers.postgres import looking
from pinstripe.ledgers.postgres.looking import look
from pinstripe.ledgers.postgres.store import Store
from pinstripe.postgres_address import read_postgres_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.ledger import Look
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.conftest import Database, NewProcess
    from tests.ledgers.postgres.network import Network
    from tests.pgbouncer import PgBouncer

pytestmark = pytest.mark.anyio


def look_at(url: str, clock: HandClock, *, schema: str = "pinstripe") -> Look:
    """Look at the ledger at a URL; what is told of it has nothing of that in it."""
    address = read_postgres_url(url, "ledger")
    found = look(Store(address, clock, schema=schema), 0.0)
    for secret in (address.host, address.name, address.user, "5432", "/"):
        assert found.trouble is None or not secret or secret not in found.trouble, "whoever asks may be anybody"
    return found


def changed(url: str, **parts: str | int) -> str:
    return make_url(url).set(drivername="postgresql", **parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


async def test_a_sound_ledger_is_told_with_the_workers_of_this_host(
    process: Store, neighbour: Store, database: Database
) -> None:
    number = await process.register()
    assert look(process, 0.0) == (None, True, ())
    database.fetch("update owners set worker = true, beat = id")
    database.fetch(f"update owners set boot_id = 'of a twin' where id = {neighbour.ours().id}")
    assert look(process, 0.0) == (None, True, ((os.getpid(), number),))
    database.fetch("update owners set stopping = true")
    assert look(process, 0.0).workers == ()
    assert {host(), boot_id()} == set(database.fetch(f"select host, boot_id from owners where id = {number}")[0])


async def test_from_any_thread_and_while_the_event_loop_waits(process: Store) -> None:
    found = [await asyncio.to_thread(look, process, 0.0)]
    thread = threading.Thread(target=lambda: found.append(look(process, 0.0)))
    thread.start()
    thread.join()
    assert found == [look(process, 0.0)] * 2 == [(None, True, ())] * 2


async def test_it_leaves_no_connection(process: Store, database: Database) -> None:
    connected = database.connected()
    look(process, 0.0)
    assert database.connected() <= connected


async def test_what_is_no_ledger_of_this_code_is_told(database: Database, process: Store) -> None:
    database.fetch("update schema_version set version = 1000")
    assert look(process, 0.0) == (None, True, ())  # it was only expanded
    database.fetch("update schema_version set version = 0")
    assert look(process, 0.0) == (None, False, ())
    database.fetch("update schema_version set version = 1000, min_code = 1000")
    assert look(process, 0.0) == (None, False, ())
    database.fetch("drop table schema_version")
    assert look(process, 0.0) == (None, False, ())


async def test_nothing_is_there_yet(database: Database, clock: HandClock) -> None:
    assert look_at(database.url, clock, schema="nobody_made_it") == (None, False, ())


async def test_a_table_that_is_locked_is_told_and_waited_for_no_longer_than_asked(
    process: Store, database: Database
) -> None:
    with database.locked("schema_version"):
        assert look(process, 0.01).trouble == "it is locked"


async def test_who_may_not_come_in(database: Database, clock: HandClock) -> None:
    assert look_at(changed(database.url, database="no_such_place"), clock).trouble == "its database isn't there"
    refused = "it lets nobody in by that name and password"
    assert look_at(changed(database.url, password="wrong"), clock).trouble == refused
    assert look_at(changed(database.url, username="stranger", password="wrong"), clock).trouble == refused


async def test_who_may_not_read(process: Store, database: Database, clock: HandClock) -> None:
    database.fetch("revoke all on schema_version from app")
    url = changed(database.url, username="app", password="app")
    assert look_at(url, clock, schema=process.schema.name).trouble == "it may not be used by this user"


async def test_a_ledger_that_can_only_be_read_is_told(process: Store, database: Database, clock: HandClock) -> None:
    url = f"{database.url}?options=-c%20default_transaction_read_only%3Don"
    assert look_at(url, clock, schema=process.schema.name).trouble == "it can only be read"


async def test_a_server_that_is_not_there(network: Network, through_network: str, clock: HandClock) -> None:
    with network.refusing():
        assert look_at(through_network, clock).trouble == "it can't be reached"


async def test_a_network_that_is_half_dead(
    network: Network, through_network: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LIMIT", 0.1)
    with network.dead():
        assert look_at(through_network, clock).trouble == "it did not answer in time"


async def test_through_a_pooler(pgbouncer: PgBouncer, database: Database, new_process: NewProcess) -> None:
    process = await new_process(url=changed(database.url, host="127.0.0.1", port=pgbouncer.port))
    for _ in range(5):
        assert look(process, 0.0) == (None, True, ())


async def test_it_is_told_whatever_the_process_has_open(
    network: Network, through_network: str, new_process: NewProcess
) -> None:
    process = await new_process(url=through_network)
    with network.refusing():
        assert look(process, 0.0).trouble == "it can't be reached"
    with suppress(LedgerError):
        await process.close()
    assert look(process, 0.0) == (None, True, ())


async def test_a_thread_for_each_look_leaves_nothing_in_memory(process: Store) -> None:
    def grown(times: int, what: Callable[[], object]) -> int:
        """Give by how many bytes the memory in use grows by so many threads."""
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            thread = threading.Thread(target=what)
            thread.start()
            thread.join()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    def look_once() -> None:
        look(process, 0.0)

    traces = threading.gettrace()
    threading.settrace(None)  # what measures coverage keeps something of each thread
    tracemalloc.start()
    try:
        grown(10, look_once)
        assert grown(40, look_once) < 40 * 150
    finally:
        tracemalloc.stop()
        threading.settrace(traces)

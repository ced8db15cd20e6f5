from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import event, text

from pinstripe.database.sqlite import sqlite_engine
from pinstripe.database.tenant_engines import Lease, Owners, TenantEngines
from pinstripe.database.urls import SQLiteFile, read_url
from pinstripe.errors import DatabaseUnavailable, IsolationError, WorkspaceClosed
from pinstripe.postgres_address import PostgresAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.database.urls import Address

pytestmark = pytest.mark.anyio


class Recorded:
    """Tenant engines over real files, which tell what was opened and closed."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.live: dict[AsyncEngine, Path] = {}
        self.leased: dict[AsyncEngine, int] = {}
        self.most = 0
        self.wrongs: list[str] = []
        self.opened: Callable[[Address], object] = lambda _: None
        self.engines = TenantEngines(limit, self.open)

    def open(self, address: Address) -> AsyncEngine:
        assert isinstance(address, SQLiteFile)
        engine = sqlite_engine(address, 1)
        event.listen(engine.sync_engine, "engine_disposed", lambda _: self.closed(engine))
        self.live[engine] = address.path
        self.most = max(self.most, len(self.live))
        self.opened(address)
        return engine

    def closed(self, engine: AsyncEngine) -> None:
        path = self.live.pop(engine)
        if self.leased.get(engine):
            self.wrongs.append(f"{path} was closed while it was lent")

    def address(self, tenant: str) -> SQLiteFile:
        path = self.folder / f"{tenant}.db"
        if not path.exists():
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("create table name (name text)")
                connection.execute("insert into name values (?)", (tenant,))
                connection.commit()
        return SQLiteFile(path)

    async def lease(self, tenant: str) -> Lease:
        lease = await self.engines.lease(tenant, self.address(tenant))
        self.leased[lease.engine] = self.leased.get(lease.engine, 0) + 1
        assert self.live[lease.engine] == self.folder / f"{tenant}.db"
        return lease

    def release(self, lease: Lease) -> None:
        self.leased[lease.engine] -= 1
        lease.release()


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path, limit=2)


async def name_in(engine: AsyncEngine) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(text("select name from name"))


async def test_twenty_workspaces_of_six_tenants_with_two_databases_open(recorded: Recorded) -> None:
    async def work(tenant: str) -> None:
        for _ in range(3):
            lease = await recorded.lease(tenant)
            assert await name_in(lease.engine) == tenant
            recorded.release(lease)

    await asyncio.wait_for(asyncio.gather(*(work(f"t{index % 6}") for index in range(20))), 60)
    assert recorded.most == 2
    await recorded.engines.close()
    assert not recorded.live
    assert not recorded.wrongs


async def test_the_same_tenant_shares_one_engine(recorded: Recorded) -> None:
    one, other = await asyncio.gather(recorded.lease("a"), recorded.lease("a"))
    assert one.engine is other.engine
    recorded.release(one)
    assert recorded.engines.lease_now("b", recorded.address("b")) is not None
    assert recorded.engines.lease_now("c", recorded.address("c")) is None  # "a" is still lent once
    await recorded.engines.close()


async def test_a_lease_is_given_back_once(recorded: Recorded) -> None:
    one, other = await asyncio.gather(recorded.lease("a"), recorded.lease("a"))
    one.release()
    one.release()
    recorded.leased[one.engine] -= 1
    await recorded.lease("b")
    waiting = asyncio.create_task(recorded.lease("c"))
    await turns()
    assert not waiting.done()
    recorded.release(other)
    await waiting
    await recorded.engines.close()


async def turns() -> None:
    """Let everything that can go on without waiting for a file do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_engine_is_not_closed_during_a_transaction(recorded: Recorded) -> None:
    lease = await recorded.lease("a")
    async with lease.engine.connect() as connection:
        await connection.exec_driver_sql("begin immediate")
        await connection.execute(text("update name set name = 'x'"))
        for tenant in "bcdef":
            recorded.release(await recorded.lease(tenant))
        assert not recorded.wrongs
        assert await connection.scalar(text("select name from name")) == "x"
        await connection.rollback()
    recorded.release(lease)
    await recorded.engines.close()


async def test_the_one_given_back_the_longest_ago_is_closed(recorded: Recorded) -> None:
    leases = {tenant: await recorded.lease(tenant) for tenant in "ab"}
    recorded.release(leases["b"])
    recorded.release(leases["a"])
    recorded.release(await recorded.lease("c"))
    assert {path.stem for path in recorded.live.values()} == {"a", "c"}
    await recorded.engines.close()


async def test_who_came_first_is_served_first(recorded: Recorded) -> None:
    held = [await recorded.lease("a"), await recorded.lease("b")]
    order: list[str] = []

    async def wait(tenant: str) -> None:
        lease = await recorded.lease(tenant)
        order.append(tenant)
        recorded.release(lease)

    tasks = []
    for tenant in "cdef":
        tasks.append(asyncio.create_task(wait(tenant)))
        await turns()
    # Who comes later doesn't overtake, although there is room for a moment.
    recorded.release(held[0])
    assert recorded.engines.lease_now("g", recorded.address("g")) is None
    await asyncio.gather(*tasks)
    assert order == ["c", "d", "e", "f"]
    recorded.release(held[1])
    await recorded.engines.close()


async def test_a_cancelled_wait_takes_nothing(recorded: Recorded) -> None:
    held = [await recorded.lease("a"), await recorded.lease("b")]
    waiting = [asyncio.create_task(recorded.lease(tenant)) for tenant in "cde"]
    await turns()
    waiting[0].cancel()
    waiting[1].cancel()
    recorded.release(held[0])
    recorded.release(await waiting[2])
    for task in waiting[:2]:
        with pytest.raises(asyncio.CancelledError):
            await task
    recorded.release(held[1])
    for tenant in "fgh":
        recorded.release(await recorded.lease(tenant))
    await recorded.engines.close()


async def test_a_wait_that_is_cancelled_as_it_ends_gives_back_what_it_got(recorded: Recorded) -> None:
    first = await recorded.lease("a")
    other = await recorded.lease("b")
    waiting = asyncio.create_task(recorded.engines.lease("c", recorded.address("c")))
    await turns()
    # The turn in which "c" is opened for who waits is the last in which he can be cancelled.
    recorded.opened = lambda _: asyncio.get_running_loop().call_soon(waiting.cancel)
    recorded.release(first)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    recorded.opened = lambda _: None
    recorded.release(other)
    leases = [await recorded.lease("d"), await recorded.lease("e")]  # both places are free again
    for lease in leases:
        recorded.release(lease)
    await recorded.engines.close()


async def test_new_credentials_get_a_new_engine_and_the_old_one_is_closed(tmp_path: Path) -> None:
    opened: list[Address] = []
    closed: list[Address] = []

    def open_engine(address: Address) -> AsyncEngine:
        opened.append(address)
        engine = sqlite_engine(SQLiteFile(tmp_path / "x.db"), 1)
        event.listen(engine.sync_engine, "engine_disposed", lambda _: closed.append(address))
        return engine

    engines = TenantEngines(5, open_engine)
    old = read_url("postgresql://app:old@db/a", tmp_path, "database.url")
    new = read_url("postgresql://app:new@db/a", tmp_path, "database.url")
    first = await engines.lease("a", old)
    second = await engines.lease("a", new)
    assert first.engine is not second.engine
    second.release()
    first.release()
    (await engines.lease("a", new)).release()
    (await engines.lease("a", old)).release()
    await turns()
    assert opened == [old, new, old]
    assert closed == [old, new]
    await engines.close()


async def test_after_closing_nobody_gets_or_waits(recorded: Recorded) -> None:
    await recorded.lease("a")
    await recorded.lease("b")
    waiting = asyncio.create_task(recorded.lease("c"))
    await turns()
    recorded.leased.clear()
    await recorded.engines.close()
    with pytest.raises(WorkspaceClosed):
        await waiting
    with pytest.raises(WorkspaceClosed):
        await recorded.lease("a")


async def test_who_cant_be_served_does_not_stop_the_others(tmp_path: Path) -> None:
    def open_engine(address: Address) -> AsyncEngine:
        if isinstance(address, PostgresAddress):
            raise DatabaseUnavailable("not this one")
        return sqlite_engine(address, 1)

    engines = TenantEngines(1, open_engine)
    held = await engines.lease("a", SQLiteFile(tmp_path / "a.db"))
    bad = asyncio.create_task(engines.lease("b", read_url("postgresql://db/b", tmp_path, "database.url")))
    good = asyncio.create_task(engines.lease("c", SQLiteFile(tmp_path / "c.db")))
    await turns()
    held.release()
    with pytest.raises(DatabaseUnavailable, match="not this one"):
        await bad
    (await good).release()
    await engines.close()


async def test_who_waits_long_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engines = TenantEngines(1, lambda _: sqlite_engine(SQLiteFile(tmp_path / "a.db"), 1), patience=0)
    held = await engines.lease("a", SQLiteFile(tmp_path / "a.db"))
    waiting = asyncio.create_task(engines.lease("b", SQLiteFile(tmp_path / "b.db")))
    await turns()
    assert "tenant b waits for its database: the 1 that may be open are in use (a); raise open_databases" in caplog.text
    held.release()
    (await waiting).release()
    await engines.close()


STEPS = st.lists(st.tuples(st.sampled_from(["lease", "release", "cancel", "turn"]), st.integers(0, 4)), max_size=40)


@given(limit=st.integers(1, 3), steps=STEPS)
@example(limit=1, steps=[*[("lease", 0)] * 4, ("lease", 1), ("lease", 0), *[("release", 0)] * 5, ("cancel", 0)])
def test_bounded_and_right_in_whatever_order(
    tmp_path_factory: pytest.TempPathFactory, limit: int, steps: list[tuple[str, int]]
) -> None:
    async def run() -> None:
        recorded = Recorded(tmp_path_factory.getbasetemp(), limit)
        tasks: list[tuple[str, asyncio.Task[Lease]]] = []
        parted: list[asyncio.Task[Lease]] = []
        for act, number in steps:
            if act == "lease":
                tenant = f"law{number}"
                tasks.append((tenant, asyncio.create_task(recorded.lease(tenant))))
            elif act == "turn":
                await turns()
            elif tasks:
                tenant, task = tasks.pop(number % len(tasks))
                parted.append(task)
                await end(recorded, tenant, task, is_cancelled=act == "cancel")
            assert len(recorded.live) <= limit
        # Whoever is left is served in the end, once those before him have given back.
        await asyncio.wait_for(asyncio.gather(*(finish(recorded, *item) for item in tasks)), 60)
        # One that is released as soon as it is lent may not have been lent yet, and closing doesn't wait for it.
        await asyncio.wait_for(asyncio.gather(*parted, return_exceptions=True), 60)
        await turns()
        await recorded.engines.close()
        assert not recorded.live
        assert not recorded.wrongs
        assert recorded.most <= limit

    asyncio.run(run())


async def finish(recorded: Recorded, tenant: str, task: asyncio.Task[Lease]) -> None:
    lease = await task
    assert await name_in(lease.engine) == tenant
    recorded.release(lease)


async def end(recorded: Recorded, tenant: str, task: asyncio.Task[Lease], *, is_cancelled: bool) -> None:
    if not task.done() and is_cancelled:
        task.cancel()
    elif not task.done():
        task.add_done_callback(lambda done: recorded.release(done.result()))
        return
    try:
        lease = await task
    except asyncio.CancelledError:
        return
    assert await name_in(lease.engine) == tenant
    recorded.release(lease)


def test_no_two_tenants_have_one_file(recorded: Recorded) -> None:
    owners = Owners()
    file = recorded.address("a")
    link = recorded.folder / "b.db"
    link.hardlink_to(file.path)
    owners.claim("tenant 'a'", file)
    owners.claim("tenant 'a'", file)
    with pytest.raises(IsolationError, match="tenant 'b' and tenant 'a' have the same database"):
        owners.claim("tenant 'b'", SQLiteFile(link))


def test_a_removed_file_makes_room_for_another_tenants(recorded: Recorded) -> None:
    owners = Owners()
    file = recorded.address("a")
    moved = file.path.with_name("b.db")
    owners.claim("tenant 'a'", file)
    file.path.rename(moved)
    owners.claim("tenant 'b'", SQLiteFile(moved))


def test_no_two_tenants_have_one_database_of_a_server(tmp_path: Path) -> None:
    owners = Owners()
    addresses = [read_url(f"postgresql://{who}@db/x", tmp_path, "") for who in ("a:1", "b:2")]
    owners.claim("tenant 'a'", addresses[0])
    with pytest.raises(IsolationError) as raised:
        owners.claim("tenant 'b'", addresses[1])
    assert "postgresql://b@db/x" in str(raised.value)
    owners.claim("tenant 'a'", read_url("postgresql://a:1@db/y", tmp_path, ""))  # it moved
    owners.claim("tenant 'b'", addresses[1])


def test_a_file_that_isnt_there_is_nobodys(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="found nothing"):
        Owners().claim("tenant 'a'", SQLiteFile(tmp_path / "a.db"))
    assert not list(Path(tmp_path).iterdir())

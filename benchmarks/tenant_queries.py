"""One query for each tenant: by the database service, by hand with SQLAlchemy, and on one bare connection."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import aiosqlite
import asyncpg
from sqlalchemy import create_engine, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from benchmarks.customers import Base, Customer, User
from benchmarks.figures import Figure, Size, middle
from pinstripe.config import DatabaseSettings
from pinstripe.database.access import DatabaseAccess
from pinstripe.database.catalog import declared
from pinstripe.database.row_security import enable_row_security
from pinstripe.tenants import Tenant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    Ask = Callable[[str], Awaitable[int]]

TITLE = "one query for each tenant, of ten rows each, one after another"
MOST = 1.25
USERS = 10
TURN = 250
"""How many tenants each way asks for before it is the next one's turn."""


def measure(size: Size) -> Sequence[Figure]:
    """Measure on SQLite and on PostgreSQL."""
    with TemporaryDirectory(prefix="pinstripe-benchmark-") as folder:
        path = Path(folder) / "customers.db"
        _fill(f"sqlite:///{path}", size.queries)
        figures = asyncio.run(_measure("SQLite", f"sqlite:///{path}", size.queries))
    with _postgres() as (url, synchronous):
        _fill(synchronous, size.queries)
        figures += asyncio.run(_measure("PostgreSQL", url, size.queries))
        return [*figures, asyncio.run(_measure_guarded(url, size.queries))]


async def _measure(name: str, url: str, tenants: int) -> list[Figure]:
    async with AsyncExitStack() as stack:
        ways = {
            "the service": await _service(url, stack),
            "SQLAlchemy by hand": await _by_hand(url, stack),
            "one bare connection": await _bare(url, stack),
        }
        spent: dict[str, list[float]] = {way: [] for way in ways}
        numbers = iter(range(tenants))
        while turn := [f"tenant-{number:05d}" for number in islice(numbers, TURN)]:
            for way, ask in ways.items():
                spent[way].append(await _spend(ask, turn))
    each = {way: middle(seconds) / min(TURN, tenants) * 1e6 for way, seconds in spent.items()}
    figures = [Figure(f"{name}, {way}", micro, "µs") for way, micro in each.items()]
    pairs = zip(spent["the service"], spent["SQLAlchemy by hand"], strict=True)
    ratio = middle([service / by_hand for service, by_hand in pairs])
    figures.insert(1, Figure(f"{name}, the service as a multiple of SQLAlchemy by hand", ratio, "x", most=MOST))
    return figures


async def _measure_guarded(url: str, tenants: int) -> Figure:
    """Measure the service where PostgreSQL itself keeps each transaction to its tenant."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        await enable_row_security(connection, declared(_settings(url), "rows"))
    await engine.dispose()
    async with AsyncExitStack() as stack:
        ask = await _service(url, stack)
        names = [f"tenant-{number:05d}" for number in range(tenants)]
        spent = [await _spend(ask, names[first : first + TURN]) for first in range(0, tenants, TURN)]
    micro = middle(spent) / min(TURN, tenants) * 1e6
    return Figure("PostgreSQL, the service, with row-level security", micro, "µs", note="with begin, tenant, commit")


async def _spend(ask: Ask, tenants: list[str]) -> float:
    began = time.perf_counter()
    found = [await ask(tenant) for tenant in tenants]
    seconds = time.perf_counter() - began
    if found != [USERS // 2] * len(tenants):
        message = f"expected {USERS // 2} users of each tenant, got {found}"
        raise RuntimeError(message)
    return seconds


def _settings(url: str) -> DatabaseSettings:
    return DatabaseSettings(
        url=url,
        models="benchmarks.customers",
        isolation="rows",
        tenant_column="tenant_id",
        shared_tables=("tenants",),
        row_security="auto",
        tenant_schema="{id}",
        tenant_url=None,
        open_databases=1,
        pool_size=5,
    )


async def _service(url: str, stack: AsyncExitStack) -> Ask:
    access = DatabaseAccess(_settings(url), Path(), "rows")
    stack.push_async_callback(access.close)

    async def ask(tenant: str) -> int:
        work = access.open(Tenant(tenant))
        users = await work.database[User].where(subscribed=True).all()
        await work.close()
        return len(users)

    return ask


async def _by_hand(url: str, stack: AsyncExitStack) -> Ask:
    engine = create_async_engine(
        url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    )
    stack.push_async_callback(engine.dispose)

    async def ask(tenant: str) -> int:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            statement = select(User).where(User.tenant_id == tenant, User.subscribed.is_(True))
            return len((await session.scalars(statement)).all())

    return ask


async def _bare(url: str, stack: AsyncExitStack) -> Ask:
    columns = "select id, tenant_id, name, email, subscribed from users where tenant_id = "
    if url.startswith("sqlite:"):
        file = await stack.enter_async_context(aiosqlite.connect(url.removeprefix("sqlite:///")))

        async def ask_file(tenant: str) -> int:
            return len(list(await file.execute_fetchall(f"{columns} ? and subscribed = 1", (tenant,))))

        return ask_file
    server: Any = await asyncpg.connect(url)
    stack.push_async_callback(server.close)

    async def ask_server(tenant: str) -> int:
        return len(await server.fetch(f"{columns} $1 and subscribed", tenant))

    return ask_server


def _fill(url: str, tenants: int) -> None:
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    names = [f"tenant-{number:05d}" for number in range(tenants)]
    with engine.begin() as connection:
        connection.execute(insert(Customer), [{"id": name, "plan": "pro", "active": True} for name in names])
        for some in (names[first : first + 1_000] for first in range(0, tenants, 1_000)):
            connection.execute(
                insert(User),
                [
                    {"tenant_id": name, "name": f"User {n}", "email": f"{n}@{name}.example", "subscribed": n % 2 == 0}
                    for name in some
                    for n in range(USERS)
                ],
            )
    engine.dispose()


@contextmanager
def _postgres() -> Iterator[tuple[str, str]]:
    """Give the URL of a new database on the tests' own server, and the one for SQLAlchemy without asyncio."""
    from tests.postgres import Postgres

    server = Postgres.start(os.environ.get("PINSTRIPE_TEST_POSTGRES"))
    try:
        with server.database() as name:
            url = server.url(name, user="app_owner")
            yield url, url.replace("postgresql:", "postgresql+psycopg:")
    finally:
        server.close()

"""The schema on PostgreSQL, where several processes want to bring it up to date."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers.postgres import schema as schemas
from tests.ledgers.postgres.open_transactions import waits
from tests.ledgers.stores import Hand

if TYPE_CHECKING:
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio

LOCKED = "select pg_advisory_xact_lock(hashtextextended('pinstripe {}', 0))"
WAITS_LONG = """
select 1 from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and clock_timestamp() - query_start > '0.1 s'
"""


async def test_who_comes_second_waits_however_long_the_first_takes(
    new_process: NewProcess, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that is in use is waited for a short time only, so that nobody stands behind the migration for long."""
    monkeypatch.setattr(schemas, "LOCK_TIMEOUT", "20ms")
    with closing(Hand(database.url)) as other, other.connection.transaction():
        other.connection.execute(LOCKED.format(database.schema).encode())
        opening = asyncio.create_task(new_process())
        await waits(database, opening)
        while not database.fetch(WAITS_LONG):
            await asyncio.sleep(0)
            assert not opening.done()
    assert (await opening).is_open


@pytest.mark.parametrize("level", ["read%5C%20committed", "serializable"])
async def test_ten_at_once_make_one_ledger(new_process: NewProcess, database: Database, level: str) -> None:
    url = f"{database.url}?options=-cdefault_transaction_isolation%3D{level}"
    processes = await asyncio.gather(*(new_process(url=url) for _ in range(10)))
    assert all(process.is_open for process in processes)
    assert database.fetch("select count(*) from schema_version") == [(1,)]

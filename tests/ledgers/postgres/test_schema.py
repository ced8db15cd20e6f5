"""The schema on PostgreSQL, where several processes want to bring it up to date."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres import schema as schemas
from tests.ledgers.postgres.open_transactions import waits
from tests.ledgers.stores import Hand
from tests.postgres import APP

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
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


# What carries its tickets: its functions are made anew where there is a later edition of them.

OLD = "update schema_version set engine = '0.1'"
IN_USE = "lock table {}_engine.pgqueuer in row exclusive mode"
"""As by an application's open transaction that has enqueued something."""


async def test_two_at_once_make_the_functions_anew(new_process: NewProcess, process: Store, database: Database) -> None:
    """The one waits for the other, in the midst of which a function can't be replaced."""
    database.fetch(OLD)
    with closing(Hand(database.url)) as other, other.connection.transaction():
        other.connection.execute(IN_USE.format(database.schema).encode())
        opening = [asyncio.create_task(new_process()) for _ in range(2)]
        await waits(database, *opening)
    assert all(process.is_open for process in await asyncio.gather(*opening))
    assert database.fetch("select engine from schema_version") != [("0.1",)]


async def test_functions_do_not_wait_for_long_for_a_table_in_use(
    new_process: NewProcess, process: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants to enqueue something would stand behind them."""
    monkeypatch.setattr(schemas, "LOCK_TIMEOUT", "20ms")
    database.fetch(OLD)
    with closing(Hand(database.url)) as other, other.connection.transaction():
        other.connection.execute(IN_USE.format(database.schema).encode())
        with pytest.raises(LedgerError, match="did not answer in time"):
            await new_process()
    assert (await new_process()).is_open
    assert database.fetch("select engine from schema_version") != [("0.1",)]


async def test_who_does_not_own_the_functions_is_told_who_can_make_them_anew(
    new_process: NewProcess, process: Store, database: Database
) -> None:
    database.fetch(f"{OLD}; grant usage on schema {database.schema}, {database.schema}_engine to {APP}")
    url = make_url(database.url).set(drivername="postgresql", username=APP, password=APP)
    with pytest.raises(LedgerError, match="start a worker once as the user who has made them"):
        await new_process(url=url.render_as_string(hide_password=False))


@pytest.mark.parametrize(
    ("version", "known", "newer"),
    [
        ("1.6.0+1", "1.6.0", True),
        ("1.6.1+1", "1.6.0+1", True),
        ("1.10.0+1", "1.9.0+1", True),
        ("1.6.0+1", "1.6.0+1", False),
        ("1.7.0rc1+2", "1.7.0rc1+1", True),
        ("1.6.0+2", "1.7.0+1", True),
        ("1.7.0+1", "1.6.0+2", False),
    ],
)
def test_a_later_edition_of_the_functions_is_not_lost_to_an_earlier_one(version: str, known: str, newer: bool) -> None:
    assert schemas.is_newer(version, known) is newer

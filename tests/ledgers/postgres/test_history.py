"""History on PostgreSQL, where the schema is of the version before: what the suite of all ledgers can't ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.actor import Actor, Door
from pinstripe.history import Action, AuditEntry, Tally
from pinstripe.ledgers.postgres.history import PostgresHistory
from pinstripe.ledgers.postgres.store import Store
from pinstripe.postgres_address import read_postgres_url
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

EARLIER = "drop table tallies, audit; update schema_version set version = 1"


async def test_who_only_looks_at_the_version_before_finds_nothing_noted(
    process: Store, database: Database, clock: HandClock
) -> None:
    database.fetch(EARLIER)
    looking = Store(read_postgres_url(database.url, "ledger"), clock, schema=database.schema)
    await looking.open(write=False)
    history = PostgresHistory(looking)
    assert await history.tallies(0) == []
    assert await history.totals() == []
    assert await history.audit(filters={"job": "greet", "tenant": "acme"}) == ([], None)
    await looking.close()


async def test_texts_that_can_not_be_kept_are_kept_as_well_as_can_be(process: Store) -> None:
    history = PostgresHistory(process)
    entry = AuditEntry(1, Actor(Door.API, "a\0da"), Action.START, "gr\0eet", "ac\0me", None, "half \ud800")
    await history.end_audit(await history.begin_audit(entry), "st\0arted")
    (found,) = (await history.audit(filters={"tenant": "ac\0me", "name": "a\0da"})).entries
    assert (found.actor.name, found.job, found.detail) == ("a\ufffdda", "gr\ufffdeet", "half \ufffd\ufffd\ufffd")
    assert found.outcome == "st\ufffdarted"
    assert (await history.executions_of_tenant("ac\0me")).executions == []


async def test_what_may_have_been_written_before_the_connection_broke_is_found(process: Store) -> None:
    history = PostgresHistory(process)
    entry = AuditEntry(5, Actor(Door.API, "ada"), Action.START)
    number = await history.begin_audit(entry)
    found = await process.read(lambda tx: tx.value("begun_audit", 5, "api", "ada", "start"))
    assert found == number
    assert await process.read(lambda tx: tx.value("begun_audit", 6, "api", "ada", "start")) is None
    await history.add_tallies([Tally(1, "greet", ExecutionStatus.FAILED, 1, 1)])
    assert len(await history.tallies(0)) == 1

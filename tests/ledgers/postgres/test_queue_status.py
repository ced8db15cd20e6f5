"""What goes on is read by indexes, however much has been: what it is, the suite of all ledgers says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers.postgres.queue_status import read_pauses, read_status, read_waits
from pinstripe.ledgers.postgres.statements import in_schema
from pinstripe.ledgers.postgres.store import Store
from pinstripe.postgres_address import read_postgres_url
from pinstripe.queue import LACKS_JOB, MAX_LACKING, MAX_SHOWN, RunWaits

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

PLANS: dict[str, tuple[tuple[Any, ...], set[str]]] = {
    "running_by_owner": ((), {"executions_running"}),
    "running_longest": ((MAX_SHOWN,), {"executions_running", "runs_pkey"}),
    "held_counts": ((), {"executions_held"}),
    "future_of_queue": ((1,), {"runs_to_select", "executions_due"}),
    "lacking_jobs": ((1, LACKS_JOB, MAX_LACKING), {"executions_due"}),
    "waiting_run": (("run",), {"runs_by_id", "executions_held", "executions_running"}),
    "held_of_run": ((1,), {"executions_held"}),
    "lacking_of_run": ((1, 1, LACKS_JOB, MAX_LACKING), {"executions_held"}),
}
"""The statements that read what may be much, with values for them, and the indexes that they have to use."""

MUCH = """
insert into pinstripe.runs(id, job, state, trigger, args, kwargs, selection, origin, created_at)
select 'run ' || run, 'greet', 'succeeded', 'cli', '[]', '{}', '{}', 'run ' || run, run
from generate_series(1, 1000) run;
insert into pinstripe.executions(run, tenant, job, state, held, due_at)
select run, tenant, 'greet', 'queued', 'due', run from generate_series(1, 50) run, generate_series(1, 20) tenant;
analyze pinstripe.runs, pinstripe.executions
"""


@pytest.mark.parametrize("name", PLANS)
async def test_it_is_read_by_indexes(process: Store, name: str) -> None:
    values, indexes = PLANS[name]

    async def explain(tx: Transaction) -> str:
        await tx.connection.execute(in_schema(MUCH, process.schema.name))
        await tx.connection.execute("set local enable_seqscan = off")
        rows = await tx.connection.fetch(f"explain {process.statement(name)}", *values)
        return "\n".join(line for (line,) in rows)

    plan = await process.read(explain)
    assert {index for index in indexes if f" {index} " not in plan} == set(), plan
    assert not [table for table in ("runs", "executions") if f"Seq Scan on {table} " in plan], plan


async def test_where_no_ledger_is_nothing_goes_on(database: Database, clock: HandClock) -> None:
    store = Store(read_postgres_url(database.url, "ledger"), clock, schema=database.schema)
    status = await read_status(store)
    assert (status.processes, status.held, status.running, status.selecting, status.next_due) == ([], {}, 0, 0, None)
    assert [one.ready for one in status.waiting] == [0, 0, 0]
    assert await read_pauses(store) == []
    assert await read_waits(store, "a run") == RunWaits()
